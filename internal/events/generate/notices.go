package main

// extension marks parts of the API for clients that request them with the query parameter features.
func extension(feature string) member { return member{"x-feature", feature} }

// notice is an invocation for clients with a feature only.
type notice struct{ feature, target, description string }

func notices() []notice {
	return []notice{
		{
			"notices", "SubscriptionsEnded",
			"Extension, with features=notices: the server ended subscriptions because they are no longer allowed.",
		},
		{
			"notices", "Resync",
			"Extension, with features=notices: the client may have missed events that the server cannot recover. Fetch the " +
				"state of these entities again. The server closes clients without this feature and asks them to reconnect.",
		},
		{
			"notices", "Closing",
			"Extension, with features=notices: the server is about to close the connection and will ask the client to " +
				"reconnect. A client that opens its next connection before misses nothing.",
		},
		{
			"limits", "Limits",
			"Extension, with features=limits: the limits of the connection, as its first message.",
		},
	}
}

// noticed returns the name of the message of a notice.
func noticed(n notice) string { return lowerFirst(n.target) + "Notice" }

// noticeMessages returns the messages of notices.
func noticeMessages() (all object) {
	for _, n := range notices() {
		all = append(all, member{noticed(n), object{
			{"name", n.target},
			{"title", n.target},
			{"summary", n.description},
			extension(n.feature),
			{"payload", hubMessage(1, []any{
				"type", "target", "arguments",
			}, member{"target", object{{"const", n.target}}}, member{"arguments", object{
				{"type", "array"},
				{"minItems", 1},
				{"maxItems", 1},
				{"items", ref("#/components/schemas/" + n.target)},
			}})},
		}})
	}
	return all
}

// noticeOperations returns the operations that send notices.
func noticeOperations() (all object) {
	for _, n := range notices() {
		all = append(all, member{lowerFirst(n.target), object{
			{"action", "send"},
			{"title", n.target},
			{"description", n.description},
			extension(n.feature),
			{"channel", ref("#/channels/hub")},
			{"messages", []any{ref("#/channels/hub/messages/" + noticed(n))}},
		}})
	}
	return all
}

// refusalCodes returns the known codes of a SubscriptionResult.
func refusalCodes() []any {
	return []any{
		"ok", "invalid_entity", "unknown_event", "wrong_kind", "unauthorized", "unavailable", "limit", "not_subscribed",
	}
}

// annotations returns the additional properties of SubscriptionResult with the feature notices.
func annotations() []member {
	return []member{
		{"code", object{
			{"type", "string"},
			{"examples", refusalCodes()},
			{"description", "Extension, with features=notices: the result as a stable word. Later versions may add words."},
			extension("notices"),
		}},
		{"traceId", object{
			{"type", "string"},
			{"description", "Extension, with features=notices: the id by which an operator finds the refusal."},
			extension("notices"),
		}},
	}
}

// noticeSchemas returns the schemas of the arguments of notices.
func noticeSchemas(guid object) object {
	moment := object{{"type", []any{"string", "null"}}, {"format", "date-time"}}
	named := func(least int) []member {
		return []member{
			{"total", object{
				{"type", "integer"},
				{"minimum", least},
				{"description", "Number of subscriptions; the list has at most 500."},
			}},
			{"subscriptions", object{{"type", "array"}, {"maxItems", 500}, {"items", ref("#/components/schemas/Subscription")}}},
		}
	}
	return object{
		{"SubscriptionsEnded", object{
			{"description", "Subscriptions that the server ended."},
			{"type", "object"},
			{"required", []any{"code", "total", "subscriptions"}},
			{"properties", append(object{
				{"code", object{{"type", "string"}, {"examples", []any{"unauthorized"}}}},
			}, named(1)...)},
		}},
		{"Limits", object{
			{"description", "The limits of a connection."},
			{"type", "object"},
			{"required", []any{"items", "subscriptions", "messageBytes", "callsPerSecond"}},
			{"properties", object{
				limit("items", "Items of one Subscribe; further ones are refused."),
				limit("subscriptions", "Subscriptions of the connection, which depend on the role."),
				limit("messageBytes", "Size of the largest message to the server; a longer one ends the connection."),
				limit("callsPerSecond", "Rate above which the server reads more slowly; 0: no limit."),
			}},
		}},
		{"Resync", object{
			{
				"description",
				"The client may have missed events of these subscriptions. They were published between from and to, if known. " +
					"With the reason unavailable there are no subscriptions: the client can subscribe again to what was " +
					"temporarily unavailable since from.",
			},
			{"type", "object"},
			{"required", []any{"organizationId", "reason", "from", "to", "total", "subscriptions"}},
			{"properties", append(object{
				{"organizationId", guid},
				{"reason", object{{"type", "string"}, {"examples", []any{"trimmed", "fork", "outage", "overflow", "unavailable"}}}},
				{"from", moment},
				{"to", moment},
			}, named(0)...)},
		}},
		{"Closing", object{
			{"description", "The server closes this connection at a time, and allows the client to reconnect."},
			{"type", "object"},
			{"required", []any{"reason", "at"}},
			{"properties", object{
				{"reason", object{
					{"type", "string"},
					{"examples", []any{"drain", "shed"}},
					{"description", "drain: the node stops. shed: it has more connections than others."},
				}},
				{"at", object{{"type", "string"}, {"format", "date-time"}}},
			}},
		}},
	}
}

// limit returns a property of Limits.
func limit(name, description string) member {
	return member{name, object{{"type", "integer"}, {"minimum", 0}, {"description", description}}}
}
