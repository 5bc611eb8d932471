package main

import (
	"strings"

	"github.com/philippseith/signalr" //nolint:depguard // this is the peer that is measured
)

// hub has the only method that the load needs.
type hub struct {
	signalr.Hub
}

type entitySubscription struct {
	EntityID  string `json:"EntityId"`
	EventName string `json:"EventName"`
}

type subscriptionResult struct {
	Subscribed bool    `json:"subscribed"`
	Message    *string `json:"message"`
	EntityID   string  `json:"entityId"`
	EventName  string  `json:"eventName"`
}

// Subscribe adds the caller to the group of each topic.
func (h *hub) Subscribe(items []entitySubscription) []subscriptionResult {
	results := make([]subscriptionResult, len(items))
	for i, item := range items {
		name := strings.ToLower(item.EventName)
		h.Groups().AddToGroup(item.EntityID+"."+name, h.ConnectionID())
		results[i] = subscriptionResult{Subscribed: true, EntityID: item.EntityID, EventName: name}
	}
	return results
}
