// Command go publishes the status of a user to Redis.
package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/redis/go-redis/v9"
)

func main() {
	if err := publish(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func publish(ctx context.Context) error {
	organization := cmp.Or(os.Getenv("ORGANIZATION"), "0d000000-0000-4000-8000-000000000001")
	user := cmp.Or(os.Getenv("USER_ID"), "0d000000-0000-4000-8000-000000000102")
	event := map[string]any{
		"Id":             newID(),
		"RootEntityType": "Organization", "RootEntityId": organization, "OrganizationId": organization,
		"EntityType": "User", "EntityId": user, "EventType": "UserStatus", "UserId": user,
		"CanBeAllocatedTo": false, "Talking": true, "Available": true, "Schedule": true, "Serving": true,
		"ServiceTerminals": 1, "ActiveQueues": 2, "ParkedCalls": 0, "ServingCallback": false, "FetchMode": false,
		"Timestamp": time.Now().UTC(), "MessageTTLSeconds": 60,
	}
	text, err := json.Marshal(event)
	if err != nil {
		return err
	}
	options, err := redis.ParseURL(cmp.Or(os.Getenv("REDIS_URL"), "redis://127.0.0.1:6379"))
	if err != nil {
		return err
	}
	client := redis.NewClient(options)
	defer client.Close()
	if err := client.Publish(ctx, "rte:org:"+organization, text).Err(); err != nil {
		return err
	}
	fmt.Println("published", event["Id"])
	return nil
}

// newID returns a random GUID.
func newID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
