package main

// extension marks what only clients get that ask for it by the query parameter features.
func extension() member { return member{"x-feature", "notices"} }

// notice is an invocation that only clients with the feature notices get.
type notice struct{ target, description string }

func notices() []notice {
	return []notice{
		{"SubscriptionsEnded", "Extension, with features=notices: the server has ended subscriptions, because they are no longer allowed."},
		{"Resync", "Extension, with features=notices: events may be missing that the server cannot get any more. What they were about should be fetched again. Other clients are closed, and asked to connect again."},
	}
}

// noticed is the name of the message of a notice.
func noticed(n notice) string { return lowerFirst(n.target) + "Notice" }

// noticeMessages are the messages of notices.
func noticeMessages() (all object) {
	for _, n := range notices() {
		all = append(all, member{noticed(n), object{
			{"name", n.target},
			{"title", n.target},
			{"summary", n.description},
			extension(),
			{"payload", hubMessage(1, []any{"type", "target", "arguments"}, member{"target", object{{"const", n.target}}}, member{"arguments", object{
				{"type", "array"},
				{"minItems", 1},
				{"maxItems", 1},
				{"items", ref("#/components/schemas/" + n.target)},
			}})},
		}})
	}
	return all
}

// noticeOperations are those that send notices.
func noticeOperations() (all object) {
	for _, n := range notices() {
		all = append(all, member{lowerFirst(n.target), object{
			{"action", "send"},
			{"title", n.target},
			{"description", n.description},
			extension(),
			{"channel", ref("#/channels/hub")},
			{"messages", []any{ref("#/channels/hub/messages/" + noticed(n))}},
		}})
	}
	return all
}

// refusalCodes are the codes of a SubscriptionResult. More may come.
func refusalCodes() []any {
	return []any{"ok", "invalid_entity", "unknown_event", "wrong_kind", "unauthorized", "unavailable", "limit", "not_subscribed"}
}

// annotations are the properties that SubscriptionResult has with the feature notices.
func annotations() []member {
	return []member{
		{"code", object{
			{"type", "string"},
			{"examples", refusalCodes()},
			{"description", "Extension, with features=notices: what became of it in a stable word; more words may come."},
			extension(),
		}},
		{"traceId", object{
			{"type", "string"},
			{"description", "Extension, with features=notices: what an operator finds a refusal by."},
			extension(),
		}},
	}
}

// noticeSchemas are the arguments of notices.
func noticeSchemas(guid object) object {
	moment := object{{"type", []any{"string", "null"}}, {"format", "date-time"}}
	named := []member{
		{"total", object{{"type", "integer"}, {"minimum", 1}, {"description", "How many there are; subscriptions names up to 500."}}},
		{"subscriptions", object{{"type", "array"}, {"maxItems", 500}, {"items", ref("#/components/schemas/Subscription")}}},
	}
	return object{
		{"SubscriptionsEnded", object{
			{"description", "Subscriptions that the server has ended."},
			{"type", "object"},
			{"required", []any{"code", "total", "subscriptions"}},
			{"properties", append(object{
				{"code", object{{"type", "string"}, {"examples", []any{"unauthorized"}}}},
			}, named...)},
		}},
		{"Resync", object{
			{"description", "Events that may be missing: of these subscriptions, published between from and to, where that is known."},
			{"type", "object"},
			{"required", []any{"organizationId", "reason", "from", "to", "total", "subscriptions"}},
			{"properties", append(object{
				{"organizationId", guid},
				{"reason", object{{"type", "string"}, {"examples", []any{"trimmed", "fork", "outage", "overflow"}}}},
				{"from", moment},
				{"to", moment},
			}, named...)},
		}},
	}
}
