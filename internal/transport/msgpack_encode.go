package transport

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/hub"
)

// The result kinds of a Completion (section 1.10).
const (
	resultError = 1
	resultValue = 3
)

// appendCompletion writes [3, {}, id, 3, result], nil included, or [3, {}, id, 1, error].
func (m messagePackCodec) appendCompletion(dst []byte, c *hub.Completion) []byte {
	body := append(make([]byte, 0, 64), packFixArray|5, byte(messageCompletion), packFixMap)
	body = appendPackString(body, c.ID)
	if c.Error != "" {
		body = append(body, resultError)
		body = appendPackString(body, c.Error)
	} else {
		body = append(body, resultValue)
		body = m.keys.appendResult(body, c.Result)
	}
	return appendPackMessage(dst, body)
}

// appendNotice writes [1, {}, nil, target, [notice], []].
func (m messagePackCodec) appendNotice(dst []byte, n hub.Notice) []byte {
	body := append(make([]byte, 0, 512), packFixArray|6, byte(messageInvocation), packFixMap, packNil)
	body = append(appendPackString(body, n.Target()), packFixArray|1)
	return appendPackMessage(dst, append(m.keys.appendNotice(body, n), packFixArray))
}

// appendClose writes [7, error or nil, allowReconnect].
func (messagePackCodec) appendClose(dst []byte, text string, allowReconnect bool) []byte {
	body := []byte{packFixArray | 3, byte(messageClose)}
	if text == "" {
		body = append(body, packNil)
	} else {
		body = appendPackString(body, text)
	}
	return appendPackMessage(dst, appendPackBool(body, allowReconnect))
}

func (messagePackCodec) appendPing(dst []byte) []byte {
	return appendPackMessage(dst, []byte{packFixArray | 1, byte(messagePing)})
}

// appendPackMessage adds a hub message: its length prefix and its body.
func appendPackMessage(dst, body []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(body))), body...)
}

// packKeys writes what has property names.
type packKeys struct{ style events.PackStyle }

// append adds a property name, which is given as .NET has it.
func (k packKeys) append(dst []byte, name string) []byte {
	dst = appendPackString(dst, name)
	if k.style&events.CamelKeys != 0 {
		dst[len(dst)-len(name)] |= 0x20 // all names begin with a single capital letter
	}
	return dst
}

// appendResult adds the result of a hub method.
func (k packKeys) appendResult(dst []byte, result any) []byte {
	switch result := result.(type) {
	case bool:
		return appendPackBool(dst, result)
	case []string:
		dst = appendPackArray(dst, len(result))
		for _, s := range result {
			dst = appendPackString(dst, s)
		}
		return dst
	case []hub.SubscriptionResult:
		dst = appendPackArray(dst, len(result))
		for i := range result {
			dst = k.appendSubscriptionResult(dst, &result[i])
		}
		return dst
	case []hub.Subscription:
		return k.appendSubscriptions(dst, result)
	default:
		return append(dst, packNil)
	}
}

func (k packKeys) appendSubscriptionResult(dst []byte, r *hub.SubscriptionResult) []byte {
	properties := byte(4)
	for _, extension := range []string{r.Code, r.TraceID} {
		if extension != "" {
			properties++
		}
	}
	dst = append(dst, packFixMap|properties)
	dst = appendPackBool(k.append(dst, "Subscribed"), r.Subscribed)
	dst = k.append(dst, "Message")
	if r.Message == nil {
		dst = append(dst, packNil)
	} else {
		dst = appendPackString(dst, *r.Message)
	}
	dst = appendPackString(k.append(dst, "EntityId"), r.EntityID)
	dst = appendPackString(k.append(dst, "EventName"), r.EventName)
	if r.Code != "" {
		dst = appendPackString(k.append(dst, "Code"), r.Code)
	}
	if r.TraceID != "" {
		dst = appendPackString(k.append(dst, "TraceId"), r.TraceID)
	}
	return dst
}

// appendNotice adds the argument of a notice.
func (k packKeys) appendNotice(dst []byte, n hub.Notice) []byte {
	switch n := n.(type) {
	case *hub.SubscriptionsEnded:
		dst = appendPackString(k.append(append(dst, packFixMap|3), "Code"), n.Code)
		dst = appendPackInt(k.append(dst, "Total"), n.Total)
		return k.appendSubscriptions(k.append(dst, "Subscriptions"), n.Subscriptions)
	case *hub.Resync:
		dst = appendPackString(k.append(append(dst, packFixMap|6), "OrganizationId"), n.OrganizationID)
		dst = appendPackString(k.append(dst, "Reason"), n.Reason)
		dst = k.appendTime(k.append(dst, "From"), n.From)
		dst = k.appendTime(k.append(dst, "To"), n.To)
		dst = appendPackInt(k.append(dst, "Total"), n.Total)
		return k.appendSubscriptions(k.append(dst, "Subscriptions"), n.Subscriptions)
	default:
		return append(dst, packNil)
	}
}

func (k packKeys) appendSubscriptions(dst []byte, list []hub.Subscription) []byte {
	dst = appendPackArray(dst, len(list))
	for i := range list {
		dst = k.appendSubscription(dst, &list[i])
	}
	return dst
}

func (k packKeys) appendSubscription(dst []byte, s *hub.Subscription) []byte {
	dst = append(dst, packFixMap|9)
	dst = appendPackString(k.append(dst, "Id"), s.ID)
	dst = appendPackBool(k.append(dst, "AllRootEntities"), s.AllRootEntities)
	dst = appendPackString(k.append(dst, "RootEntityId"), s.RootEntityID)
	dst = appendPackString(k.append(dst, "RootEntityType"), s.RootEntityType)
	dst = appendPackString(k.append(dst, "OrganizationId"), s.OrganizationID)
	dst = appendPackString(k.append(dst, "EventType"), s.EventType)
	dst = appendPackString(k.append(dst, "EntityType"), s.EntityType)
	dst = appendPackString(k.append(dst, "EntityId"), s.EntityID)
	return appendPackBool(k.append(dst, "AllEntities"), s.AllEntities)
}

func appendPackBool(dst []byte, value bool) []byte {
	if value {
		return append(dst, packTrue)
	}
	return append(dst, packFalse)
}

// appendPackInt adds a number that is not negative.
func appendPackInt(dst []byte, n int) []byte {
	switch {
	case n < 128:
		return append(dst, byte(n)) //nolint:gosec // bounded here
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, packUint8+1), uint16(n))
	default:
		return binary.BigEndian.AppendUint32(append(dst, packUint8+2), uint32(n)) //nolint:gosec // no count is that large
	}
}

// appendTime adds a point in time as events have them: as a string, or as the extension that .NET reads as a DateTime,
// in its form of 64 bits: 30 for nanoseconds, 34 for seconds.
func (k packKeys) appendTime(dst []byte, t *time.Time) []byte {
	switch {
	case t == nil:
		return append(dst, packNil)
	case k.style&events.TextTimes != 0:
		return appendPackString(dst, t.Format(time.RFC3339Nano))
	}
	bits := uint64(t.Nanosecond())<<34 | uint64(t.Unix()) //nolint:gosec // neither is negative
	return binary.BigEndian.AppendUint64(append(dst, packFixExt1+3, packTimestamp), bits)
}

func appendPackString(dst []byte, s string) []byte {
	switch n := len(s); {
	case n < 32:
		dst = append(dst, packFixStr|byte(n))
	case n <= math.MaxUint8:
		dst = append(dst, packStr8, byte(n))
	case n <= math.MaxUint16:
		dst = binary.BigEndian.AppendUint16(append(dst, packStr8+1), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint32(append(dst, packStr8+2), uint32(n)) //nolint:gosec // no text is that long
	}
	return append(dst, s...)
}

func appendPackArray(dst []byte, n int) []byte {
	switch {
	case n < 16:
		return append(dst, packFixArray|byte(n)) //nolint:gosec // bounded here
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, packArray16), uint16(n))
	default:
		return binary.BigEndian.AppendUint32(append(dst, packArray16+1), uint32(n)) //nolint:gosec // no result is that long
	}
}
