package dotnet

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// jsonMember is a property of a message, both as JSON text.
type jsonMember struct{ name, value string }

// jsonGenerator makes messages of the JSON protocol: right ones, and such with one or two things wrong.
type jsonGenerator struct{ *rand.Rand }

func pick[T any](r *rand.Rand, all ...T) T { return all[r.IntN(len(all))] }

// entityID is a user of the organization of the tests.
const entityID = "aa9730c4-ce86-e611-80c9-00505689257e"

func jsonItem(entity, event string) string {
	return fmt.Sprintf(`{"EntityId":%q,"EventName":%q}`, entity, event)
}

// base makes a message that is right.
func (g jsonGenerator) base() (name string, members []jsonMember) {
	typed := func(kind string, more ...jsonMember) []jsonMember {
		return append([]jsonMember{{"type", kind}}, more...)
	}
	id := jsonMember{"invocationId", pick(g.Rand, `"1"`, `"abc"`, `"é"`)}
	switch g.IntN(12) {
	case 0:
		return "ping", typed("6")
	case 1:
		return "close", typed("7", jsonMember{"allowReconnect", "false"})
	case 2:
		return "cancel", typed("5", id)
	case 3:
		return "completion", typed("3", id, jsonMember{"result", "42"})
	case 4:
		return "stream item", typed("2", id, jsonMember{"item", "42"})
	case 5:
		return "stream invocation", typed("4", id, jsonMember{"target", g.target()}, jsonMember{"arguments", g.arguments()})
	case 6:
		return "ack", typed(pick(g.Rand, "8", "9"), jsonMember{"sequenceId", "1"})
	case 7:
		return "without id", typed("1", jsonMember{"target", g.target()}, jsonMember{"arguments", g.arguments()})
	default:
		return "call", typed("1", id, jsonMember{"target", g.target()}, jsonMember{"arguments", g.arguments()})
	}
}

func (g jsonGenerator) target() string {
	return pick(g.Rand, `"Subscribe"`, `"Subscribe"`, `"Unsubscribe"`, `"UnsubscribeAll"`, `"AvailableSubscriptions"`,
		`"ActiveSubscriptions"`, `"subscribe"`, `"SUBSCRIBE"`, `"Subscr\u0069be"`, `"NoSuch"`,
		`"OnConnectedAsync"`, `"Subscribe "`, `""`)
}

func (g jsonGenerator) arguments() string {
	item := jsonItem(entityID, "UserStatus")
	return pick(g.Rand,
		"["+"["+item+"]"+"]", "["+"["+item+","+item+"]"+"]", "[[]]", "[]", "[null]", "[[null]]", "[{}]", `["x"]`, "[1]",
		"[[1]]",
		`[["x"]]`, "[[{}]]", `[[{"EntityId":1,"EventName":"UserStatus"}]]`, `[[{"entityId":"x","eventname":"y"}]]`,
		`[[{"EntityId":null,"EventName":null}]]`, `[[{"EntityId":"x","EventName":"y","More":{"a":[1,2,{"b":null}]}}]]`,
		"[["+item+"],1]", "[["+item+"],["+item+"]]", "[["+item+",]]", "[[["+item+"]]]", "[[],[]]", "[1,2,3]",
		`[[{"EntityId":"x"}]]`,
		`[[{"EntityId":"`+"\u00e9\u4e2d"+`","EventName":"\ud83d\ude00"}]]`)
}

// value is any JSON value, and some that are none.
func (g jsonGenerator) value() string {
	return pick(g.Rand, "null", "true", "false", "0", "1", "-1", "1.0", "1.5", "1e0", "1e400", "99999999999", "01", `""`,
		`"x"`, `"1"`,
		"[]", "[[]]", "{}", `{"a":1}`, `{"a":1,"a":2}`, strings.Repeat("[", 70)+strings.Repeat("]", 70), `"\ud800"`, `"\x"`,
		"NaN", "'x'",
		`"a`+"\n"+`b"`, `"`+"\xff"+`"`)
}

// next makes a message.
func (g jsonGenerator) next() *conversation {
	name, members := g.base()
	var changes []string
	for range g.IntN(3) {
		i := g.IntN(len(members))
		switch g.IntN(8) {
		case 0:
			g.Shuffle(len(members), func(a, b int) { members[a], members[b] = members[b], members[a] })
			changes = append(changes, "shuffled")
		case 1:
			if len(members) > 1 {
				changes = append(changes, "without "+members[i].name)
				members = append(members[:i:i], members[i+1:]...)
			}
		case 2:
			members = append(members, jsonMember{members[i].name, g.value()})
			changes = append(changes, "again "+members[i].name)
		case 3:
			members[i].name = pick(
				g.Rand, strings.ToUpper(members[i].name), " "+members[i].name,
				`\u00`+fmt.Sprintf("%x", members[i].name[0])+members[i].name[1:],
			)
			changes = append(changes, "named "+members[i].name)
		case 4:
			members = append(
				members,
				jsonMember{pick(g.Rand, "more", "headers", "streamIds", "sequenceId", "error", "item", "result"), g.value()},
			)
			changes = append(changes, "more")
		default:
			members[i].value = g.value()
			changes = append(changes, members[i].name+" changed")
		}
	}
	var parts []string
	for _, m := range members {
		parts = append(parts, `"`+m.name+`":`+m.value)
	}
	text := "{" + strings.Join(parts, ",") + "}"
	if g.IntN(8) == 0 {
		var change string
		change, text = g.spoil(text)
		changes = append(changes, change)
	} else {
		text += string(rune(separator))
	}
	return &conversation{name: strings.Join(append([]string{name}, changes...), ", "), message: []byte(text)}
}

// spoil changes the text of a message as a whole.
func (g jsonGenerator) spoil(text string) (change, spoiled string) {
	const end = "\x1e"
	switch g.IntN(12) {
	case 0:
		return "cut", text[:1+g.IntN(len(text)-1)] + end
	case 1:
		return "trailing comma", strings.TrimSuffix(text, "}") + ",}" + end
	case 2:
		return "comment", strings.Replace(text, ",", ",/* c */", 1) + end
	case 3:
		return "white space", " \t\r\n" + strings.ReplaceAll(text, ":", " : ") + " \n" + end
	case 4:
		return "byte order mark", "\xef\xbb\xbf" + text + end
	case 5:
		return "in an array", "[" + text + "]" + end
	case 6:
		return "empty", end
	case 7:
		return "twice", text + end + text + end
	case 8:
		return "two in one", text + text + end
	case 9:
		return "something behind it", text + "x" + end
	case 10:
		return "a NUL", text + "\x00" + end
	default:
		return "no object", pick(g.Rand, "null", "1", `"x"`, "[]", "true") + end
	}
}

// handshakes are beginnings of a connection.
func handshakes() (all []*conversation) {
	for _, text := range []string{
		`{"protocol":"json","version":1}`, `{"version":1,"protocol":"json"}`, `{"protocol":"JSON","version":1}`,
		`{"protocol":"json","version":0}`, `{"protocol":"json","version":-1}`, `{"protocol":"json","version":2}`,
		`{"protocol":"json","version":3}`, `{"protocol":"json","version":"1"}`, `{"protocol":"json","version":1.5}`,
		`{"protocol":"json","version":null}`, `{"protocol":"json"}`, `{"version":1}`, `{}`, `[]`, `null`, `1`, `"x"`, ``, `{`,
		`{"protocol":"xyz","version":1}`, `{"protocol":"","version":1}`, `{"protocol":null,"version":1}`,
		`{"protocol":1,"version":1}`,
		`{"protocol":"it's","version":1}`, `{"protocol":"a<b>&é","version":1}`, `{"Protocol":"json","Version":1}`,
		`{"protocol":"json","version":1,"more":{"a":[1]}}`, `{"protocol":"json","version":1,"type":1}`,
		`{"protocol":"json","version":1,"protocol":"xyz"}`, ` {"protocol" : "json" , "version" : 1 } `,
		`{"protocol":"json","version":1,}`, `{"protocol":"json","version":1}x`, `{"protocol":"json","version":99999999999}`,
		"\xef\xbb\xbf" + `{"protocol":"json","version":1}`, `{"protocol":"js\u006fn","version":1}`,
		`{"protocol":"json","version":1e0}`, `{"protocol":"json","version":01}`,
	} {
		all = append(all, &conversation{name: "handshake", handshake: []byte(text + "\x1e"), message: nil})
	}
	return all
}
