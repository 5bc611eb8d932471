package main

import (
	"strings"

	"github.com/rte-server/rte-server/internal/events"
)

// asyncAPI returns the AsyncAPI 3.0 document of the whole interface: the hub for JSON clients, and the lanes in Redis
// for publishers. The document has the server's point of view: it receives the messages of clients and publishers.
func asyncAPI(c *events.Catalog) object {
	return object{
		{"asyncapi", "3.0.0"},
		{"info", object{
			{"title", "rte-server"},
			{"version", "1.0.0"},
			{"description", asyncDescription},
			{"license", object{{"name", "MIT"}}},
		}},
		{"defaultContentType", "application/json"},
		{"servers", servers()},
		{"channels", object{
			{"hub", hubChannel(c)},
			{"lane", laneChannel(c)},
		}},
		{"operations", operations(c)},
		{"components", object{
			{"messages", messages(c)},
			{"schemas", schemas(c)},
			{"securitySchemes", object{
				{"bearer", object{
					{"type", "http"},
					{"scheme", "bearer"},
					{"bearerFormat", "JWT"},
					{"description", "The token in the header Authorization."},
				}},
				{"accessToken", object{
					{"type", "httpApiKey"},
					{"in", "query"},
					{"name", "access_token"},
					{"description", "The token in the query, for browsers, which cannot set headers on a WebSocket."},
				}},
				{"redis", object{
					{"type", "userPassword"},
					{"description", "A Redis user whose access control list confines it to the lanes of its organization."},
				}},
			}},
		}},
	}
}

const asyncDescription = `Real-time events of a contact centre: of its users, queues and call lists.

Clients use SignalR: after the handshake of the hub protocol they invoke the methods of the hub, and receive events as
invocations of the client method MessageReceived. Each message of the JSON protocol ends with the character U+001E,
which the payloads here omit. Clients of the MessagePack protocol exchange the same values as arrays, with the names of
an event's properties in Pascal case.

Publishers publish events to Redis, on the lane of their organization.`

func servers() object {
	host := object{{"host", object{
		{"description", "Address of the server or of the load balancer in front of it."},
		{"default", "localhost"},
	}}}
	return object{
		{"hub", object{
			{"host", "{host}"},
			{"pathname", "/rte"},
			{"protocol", "wss"},
			{
				"description",
				"The SignalR hub. Negotiation is POST /rte/negotiate; WebSockets are the only transport, and clients may skip " +
					"negotiation.",
			},
			{"variables", host},
			{"security", []any{ref("#/components/securitySchemes/bearer"), ref("#/components/securitySchemes/accessToken")}},
		}},
		{"backplane", object{
			{"host", "{host}:6379"},
			{"protocol", "redis"},
			{"description", "Redis, which delivers events from publishers to all nodes."},
			{"variables", object{{"host", object{{"description", "Address of Redis."}, {"default", "localhost"}}}}},
			{"security", []any{ref("#/components/securitySchemes/redis")}},
		}},
	}
}

// method is a method of the hub.
type method struct {
	name, description string
	arguments, result object
}

func methods() []method {
	subscriptions := object{
		{"type", "array"},
		{"minItems", 1},
		{"maxItems", 1},
		{"items", object{{"type", "array"}, {"items", ref("#/components/schemas/EntitySubscription")}}},
	}
	results := object{{"type", "array"}, {"items", ref("#/components/schemas/SubscriptionResult")}}
	none := object{{"type", "array"}}
	return []method{
		{
			"Subscribe", "Subscribes to events of entities. The results are in the order of the request. All events that are " +
				"published after the answer arrive.",
			subscriptions, results,
		},
		{"Unsubscribe", "Ends subscriptions. The results are in the order of the request.", subscriptions, results},
		{"UnsubscribeAll", "Ends all subscriptions of the connection.", none, object{{"type", "boolean"}}},
		{
			"AvailableSubscriptions", "Returns the names of all events. Arguments are ignored.",
			none,
			object{{"type", "array"}, {"items", object{{"type", "string"}}}},
		},
		{
			"ActiveSubscriptions", "Returns the subscriptions of the connection.",
			none,
			object{{"type", "array"}, {"items", ref("#/components/schemas/Subscription")}},
		},
	}
}

// received and published return the names of the messages with an event, to clients and from publishers.
func received(d *events.Definition) string  { return lowerFirst(d.Name) + "Received" }
func published(d *events.Definition) string { return lowerFirst(d.Name) + "Published" }

func request(m method) string { return lowerFirst(m.name) + "Request" }
func reply(m method) string   { return lowerFirst(m.name) + "Reply" }

func hubChannel(c *events.Catalog) object {
	all := object{}
	for _, m := range methods() {
		for _, name := range []string{request(m), reply(m)} {
			all = append(all, member{name, ref("#/components/messages/" + name)})
		}
	}
	for d := range definitions(c) {
		all = append(all, member{received(d), ref("#/components/messages/" + received(d))})
	}
	for _, n := range notices() {
		all = append(all, member{noticed(n), ref("#/components/messages/" + noticed(n))})
	}
	return object{
		{"address", "/"},
		{"title", "Hub"},
		{
			"description",
			"One WebSocket of one client. The server answers the invocations of a connection one by one, in order.",
		},
		{"servers", []any{ref("#/servers/hub")}},
		{"messages", all},
		{"bindings", object{{"ws", object{
			{"method", "GET"},
			{"query", object{
				{"type", "object"},
				{"properties", object{
					{
						"id",
						object{
							{"type", "string"},
							{"description", "The connection token of the negotiation, unless the client skips negotiation."},
						},
					},
					{
						"access_token",
						object{{"type", "string"}, {"description", "The token, for clients that cannot set the header Authorization."}},
					},
					{
						"features",
						object{
							{"type", "string"},
							{"description", "Extensions that the client requests, separated by commas: notices, snapshot, limits."},
						},
					},
				}},
			}},
		}}}},
	}
}

func laneChannel(c *events.Catalog) object {
	all := object{}
	for d := range definitions(c) {
		all = append(all, member{published(d), ref("#/components/messages/" + published(d))})
	}
	return object{
		{"address", "rte:org:{organizationId}"},
		{"title", "Lane of an organization"},
		{
			"description",
			"A channel of Redis. The events of an entity arrive in the order in which they were published on it.",
		},
		{"servers", []any{ref("#/servers/backplane")}},
		{"parameters", object{{"organizationId", object{
			{"description", "The GUID of the organization in lower case."},
			{"examples", []any{"29f6e823-b484-e611-80c9-00505689257e"}},
		}}}},
		{"messages", all},
	}
}

func operations(c *events.Catalog) object {
	all := object{}
	for _, m := range methods() {
		all = append(all, member{lowerFirst(m.name), object{
			{"action", "receive"},
			{"title", m.name},
			{"description", m.description},
			{"channel", ref("#/channels/hub")},
			{"messages", []any{ref("#/channels/hub/messages/" + request(m))}},
			{"reply", object{
				{"channel", ref("#/channels/hub")},
				{"messages", []any{ref("#/channels/hub/messages/" + reply(m))}},
			}},
		}})
	}
	var toClients, fromPublishers []any
	for d := range definitions(c) {
		toClients = append(toClients, ref("#/channels/hub/messages/"+received(d)))
		fromPublishers = append(fromPublishers, ref("#/channels/lane/messages/"+published(d)))
	}
	return append(append(all, noticeOperations()...),
		member{"messageReceived", object{
			{"action", "send"},
			{"title", "MessageReceived"},
			{
				"description",
				"Delivers an event to a subscriber. Events of a topic arrive once, in the order of publishing.",
			},
			{"channel", ref("#/channels/hub")},
			{"messages", toClients},
		}},
		member{"publish", object{
			{"action", "receive"},
			{"title", "PUBLISH"},
			{"description", "Receives an event from a publisher."},
			{"channel", ref("#/channels/lane")},
			{"messages", fromPublishers},
		}},
	)
}

func messages(c *events.Catalog) object {
	all := object{}
	for _, m := range methods() {
		correlation := member{"correlationId", object{{"location", "$message.payload#/invocationId"}}}
		id := member{
			"invocationId",
			object{
				{"type", "string"}, {"description", "Chosen by the client. The server does not answer an invocation without it."},
			},
		}
		all = append(
			all,
			member{request(m), object{
				{"name", m.name},
				{"title", m.name},
				correlation,
				{
					"payload",
					hubMessage(
						1, []any{"type", "target", "arguments"}, id, member{"target", object{{"const", m.name}}},
						member{"arguments", m.arguments},
					),
				},
			}},
			member{reply(m), object{
				{"name", m.name + "Reply"},
				{"title", "Completion of " + m.name},
				correlation,
				{"payload", hubMessage(3, []any{"type", "invocationId"}, id, member{"result", m.result}, member{"error", object{
					{"type", "string"}, {"description", "Why the call failed, instead of a result."},
				}})},
			}},
		)
	}
	for d := range definitions(c) {
		all = append(
			all,
			member{received(d), object{
				{"name", d.Name},
				{"title", d.Name + " for clients"},
				{"summary", d.Description},
				{"payload", hubMessage(1, []any{
					"type", "target", "arguments",
				}, member{"target", object{{"const", "MessageReceived"}}}, member{"arguments", object{
					{"type", "array"},
					{"minItems", 1},
					{"maxItems", 1},
					{"items", object{
						{"type", "object"},
						{"required", []any{"subscription", "data"}},
						{"properties", object{
							{"subscription", ref("#/components/schemas/Subscription")},
							{"data", ref("#/components/schemas/" + clientSchema(d))},
						}},
					}},
				}})},
			}},
			member{published(d), object{
				{"name", d.Name},
				{"title", d.Name + " as published"},
				{"summary", d.Description},
				{"payload", ref("#/components/schemas/" + d.Name)},
			}},
		)
	}
	return append(all, noticeMessages()...)
}

// hubMessage returns the schema of a message of the hub protocol.
func hubMessage(kind int, required []any, properties ...member) object {
	return object{
		{"type", "object"},
		{"required", required},
		{"properties", append(object{{"type", object{{"const", kind}}}}, properties...)},
	}
}

// clientSchema returns the name of the schema of an event for clients.
func clientSchema(d *events.Definition) string { return strings.ToLower(d.Name[:1]) + d.Name[1:] }

func schemas(c *events.Catalog) object {
	text := object{{"type", "string"}}
	flag := object{{"type", "boolean"}}
	guid := object{{"type", "string"}, {"pattern", guidPattern}}
	all := object{
		{"EntitySubscription", object{
			{"description", "One event of one entity."},
			{"type", "object"},
			{"required", []any{"EntityId", "EventName"}},
			{"properties", object{{"EntityId", text}, {"EventName", text}}},
		}},
		{"SubscriptionResult", object{
			{
				"description",
				"The result for one EntitySubscription: entityId is as in the request, eventName is in lower case, message is " +
					"the reason for a refusal.",
			},
			{"type", "object"},
			{"required", []any{"subscribed", "message", "entityId", "eventName"}},
			{"properties", append(object{
				{"subscribed", flag},
				{"message", object{{"type", []any{"string", "null"}}}},
				{"entityId", text},
				{"eventName", text},
			}, annotations()...)},
		}},
		{"Subscription", object{
			{"description", "An active subscription. Its ids are in lower case."},
			{"type", "object"},
			{"required", []any{
				"id", "allRootEntities", "rootEntityId", "rootEntityType", "organizationId", "eventType", "entityType", "entityId",
				"allEntities",
			}},
			{"properties", object{
				{"id", guid},
				{"allRootEntities", flag},
				{"rootEntityId", guid},
				{"rootEntityType", text},
				{"organizationId", guid},
				{"eventType", text},
				{"entityType", text},
				{"entityId", guid},
				{"allEntities", flag},
			}},
		}},
	}
	all = append(all, noticeSchemas(guid)...)
	for d := range definitions(c) {
		all = append(
			all,
			member{d.Name, eventSchema(c, d, asPublished)},
			member{clientSchema(d), eventSchema(c, d, events.CamelCase)},
		)
	}
	return all
}
