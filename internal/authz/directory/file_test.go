package directory_test

import (
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/rte-server/rte-server/internal/authz/directory"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// entity is one entry of a directory file in YAML.
func entity(kind string, id, organization events.ID, members ...events.ID) string {
	text := "  - {id: " + id.String() + ", kind: " + kind + ", organization: " + organization.String() +
		", name: A name, members: ["
	for _, member := range members {
		text += member.String() + ", "
	}
	return text + "]}\n"
}

func TestFile_lookup(t *testing.T) {
	yaml := "entities:\n" + entity("User", me, home) + entity("Queue", queue, home, colleague, me, me) +
		entity("CallList", callList, home, colleague) + entity("Queue", foreignQueue, foreign)
	json := `{"entities": [
		{"id": "` + me.String() + `", "kind": "User", "organization": "` + home.String() + `", "name": "Me"},
		{"id": "` + queue.String() + `", "kind": "Queue", "organization": "` + home.String() + `",
			"members": ["` + me.String() + `"]},
		{"id": "` + callList.String() + `", "kind": "CallList", "organization": "` + strings.ToUpper(home.String()) + `"},
		{"id": "` + foreignQueue.String() + `", "kind": "Queue", "organization": "` + foreign.String() + `", "members": []}]}`
	want := []directory.Entity{
		{State: directory.StateKnown, Kind: events.KindUser, Organization: home},
		{State: directory.StateKnown, Kind: events.KindQueue, Organization: home, Member: true},
		{State: directory.StateKnown, Kind: events.KindCallList, Organization: home},
		{State: directory.StateKnown, Kind: events.KindQueue, Organization: foreign},
		{},
	}
	for name, data := range map[string]string{"directory.yaml": yaml, "directory.json": json} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), name)
			rtetest.MustReplaceFile(t, path, []byte(data))
			d, err := directory.NewFile(directory.FileOptions{Path: path})
			if err != nil {
				t.Fatal(err)
			}
			got := lookup(t, d, directory.Caller{User: me, Organization: home}, me, queue, callList, foreignQueue, unknownEntity)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestFile_refusesMistakes(t *testing.T) {
	user := entity("User", me, home)
	for name, text := range map[string]string{
		"empty.yaml":        "",
		"not.yaml":          "entities: [",
		"key.yaml":          "entities: []\nusers: []",
		"member-key.yaml":   "entities: [{id: " + me.String() + ", type: User}]",
		"documents.yaml":    "entities: []\n---\nentities: []",
		"twice.yaml":        "entities:\n" + user + user,
		"twice-case.yaml":   "entities:\n" + user + strings.Replace(user, me.String(), strings.ToUpper(me.String()), 1),
		"kind.yaml":         "entities:\n" + entity("Team", me, home),
		"id.yaml":           "entities: [{id: anna, kind: User, organization: " + home.String() + "}]",
		"organization.yaml": "entities: [{id: " + me.String() + ", kind: User}]",
		"member.yaml": "entities: [{id: " + queue.String() + ", kind: Queue, organization: " + home.String() +
			", members: [anna]}]",
		"user-members.yaml":  "entities:\n" + entity("User", me, home, colleague),
		"key.json":           `{"entities": [], "users": []}`,
		"documents.json":     `{"entities": []} {}`,
		"empty.json":         ``,
		"not-an-object.json": `[]`,
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), name)
			rtetest.MustReplaceFile(t, path, []byte(text))
			if _, err := directory.NewFile(directory.FileOptions{Path: path}); err == nil {
				t.Error("accepted")
			}
		})
	}
}

func TestFile_isWatched(t *testing.T) {
	path := filepath.Join(t.TempDir(), "directory.yaml")
	rtetest.MustReplaceFile(t, path, []byte("entities:\n"+entity("Queue", queue, home)))
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.DebugLevel)
		var changes []directory.Change
		d, err := directory.NewFile(directory.FileOptions{
			Path: path, Logger: zap.New(core), Changed: func(c directory.Change) { changes = append(changes, c) },
		})
		if err != nil {
			t.Fatal(err)
		}
		stop := rtetest.Start(t, d.Run)
		caller := directory.Caller{User: me, Organization: home}

		rtetest.MustReplaceFile(t, path, []byte("entities:\n"+entity("Queue", queue, home, me)))
		time.Sleep(3 * time.Second)
		if !lookup(t, d, caller, queue)[0].Member {
			t.Error("the change is not in force")
		}

		rtetest.MustReplaceFile(t, path, []byte("entities:\n"+entity("Queue", queue, foreign)+entity("Team", me, home)))
		time.Sleep(10 * time.Second)
		if got := lookup(t, d, caller, queue)[0]; got.Organization != home {
			t.Error("half of a bad file is in force")
		}
		if refused := logs.FilterLevelExact(zap.ErrorLevel).Len(); refused != 1 {
			t.Errorf("%d errors in the log for one bad file", refused)
		}

		rtetest.MustReplaceFile(t, path, []byte("entities: []\n"))
		time.Sleep(3 * time.Second)
		if got := lookup(t, d, caller, queue)[0]; got.State != directory.StateUnknown {
			t.Errorf("after the bad file: %+v", got)
		}
		stop()
		if diff := cmp.Diff([]directory.Change{{All: true}, {All: true}}, changes); diff != "" {
			t.Error(diff)
		}
	})
}

// watchOffset separates the steps of a test from the checks of the file, at full seconds.
const watchOffset = 500 * time.Millisecond

// TestFile_ignoresHalfWrittenFiles writes a file in place, as an editor does: its first half is a valid file.
func TestFile_ignoresHalfWrittenFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "directory.yaml")
	rtetest.MustReplaceFile(t, path, []byte("entities:\n"+entity("Queue", queue, home)+entity("User", me, home)))
	synctest.Test(t, func(t *testing.T) {
		d, err := directory.NewFile(directory.FileOptions{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		stop := rtetest.Start(t, d.Run)
		defer stop()
		caller := directory.Caller{User: me, Organization: home}
		time.Sleep(watchOffset)
		text := "entities:\n"
		for range 20 { // longer at every check
			text += entity("Queue", events.NewID(), home)
			rtetest.MustReplaceFile(t, path, []byte(text))
			time.Sleep(time.Second)
			if lookup(t, d, caller, me)[0].State != directory.StateKnown {
				t.Fatal("a file is in force while it is being written")
			}
		}
		time.Sleep(2 * time.Second)
		if lookup(t, d, caller, me)[0].State != directory.StateUnknown {
			t.Error("the finished file is not in force")
		}
	})
}
