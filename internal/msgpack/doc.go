// Package msgpack owns the MessagePack format: the bytes that begin values, functions that append values, and a Reader
// that checks every length before it trusts it. It knows no hub protocol and no event.
//
// It imports nothing of ours. Nothing in it allocates but Reader.String, which copies.
package msgpack
