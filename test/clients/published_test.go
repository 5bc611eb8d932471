package clients

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/rte-server/rte-server/internal/rtetest"
)

// TestPublishedSample runs the C# sample of the published API, with both hub protocols.
func TestPublishedSample(t *testing.T) {
	program := rtetest.FindDotnet(t, "the published C# sample")
	if program == "" {
		return
	}
	const sample = "../../build/dotnet/Published/10.0.15/Published.dll"
	mustBeInstalled(t, sample)
	s := newStage(t)
	s.hubURL = s.startNode(t, nil).HubURL
	for _, protocol := range []string{"json", "messagepack"} {
		t.Run(protocol, func(t *testing.T) {
			agent := s.agent(t)
			cmd := s.environment(exec.Command(program, sample, s.hubURL, s.token, protocol, agent, stranger))
			lines := rtetest.MustStartLines(t, cmd)

			name := (&connection{protocol: protocol}).name
			want := fmt.Sprintf(`subscribed [{%q:true,%q:null,%q:%q,%q:"useravailability"},{%q:false,%q:"Unauthorized",`,
				name("Subscribed"), name("Message"), name("EntityId"), agent, name("EventName"),
				name("Subscribed"), name("Message"))
			if got := lines.Next(); !strings.HasPrefix(got, want) {
				t.Fatalf("the sample printed %s, want %s...", got, want)
			}
			s.publishAvailability(t, agent, "Back at two.")
			if got, want := lines.Next(), "received "+agent+" Back at two."; got != want {
				t.Errorf("the sample printed %q, want %q", got, want)
			}
		})
	}
}

// publishAvailability publishes a UserAvailability of an agent.
func (s *stage) publishAvailability(t *testing.T, agent, note string) {
	t.Helper()
	data, err := json.Marshal(map[string]any{
		"RootEntityType": "Organization", "RootEntityId": organization, "OrganizationId": organization,
		"EventType": "UserAvailability", "EntityType": "User", "EntityId": agent, "UserId": agent,
		"MessageTTLSeconds": -1, "StartTime": eventTime, "EndTime": "9999-12-31T23:59:59.9999999", "Note": note,
		"Availability": "Busy", "Timestamp": eventTime + "Z",
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.publisher.Publish(t.Context(), "rte:org:"+organization, data).Err(); err != nil {
		t.Fatalf("publish: %v", err)
	}
}
