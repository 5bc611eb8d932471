package directory

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.yaml.in/yaml/v3"

	"github.com/rte-server/rte-server/internal/authz/watch"
	"github.com/rte-server/rte-server/internal/events"
)

// maxFile is the largest size of a directory file, in bytes.
const maxFile = 256 << 20

// FileOptions configure a File.
type FileOptions struct {
	// Path is the name of a YAML file, or of a JSON file if it ends in .json. Required.
	Path string
	// Changed is called by Run when a new version of the file is in force. Default: no call.
	Changed func(Change)

	Logger     *zap.Logger           // default: none
	Registerer prometheus.Registerer // default: none
}

// File is a directory that is read from a file:
//
//	entities:
//	  - id: c9eeb030-ff4b-ea11-ac9c-00155d4fdcf3
//	    kind: Queue                # User, Queue or CallList
//	    organization: 29f6e823-b484-e611-80c9-00505689257e
//	    name: Sales                # for people
//	    members:                   # users of a queue or a call list
//	      - aa9730c4-ce86-e611-80c9-00505689257e
//
// Run reads the file again when it changes. If anything in the new version is wrong, the previous version stays in
// force, and the log has the reason.
type File struct {
	file    *watch.File
	records atomic.Pointer[map[events.ID]*Record]
	changed func(Change) // may be nil
}

// NewFile reads the file. The error names the wrong entity.
func NewFile(o FileOptions) (*File, error) {
	d := &File{}
	parse := parseYAML
	if strings.EqualFold(filepath.Ext(o.Path), ".json") {
		parse = parseJSON
	}
	file, err := watch.New(watch.Options{
		Path: o.Path, Limit: maxFile, Load: func(data []byte) error { return d.load(data, parse) }, Name: "directory",
		Logger: o.Logger, Registerer: o.Registerer,
	})
	if err != nil {
		return nil, fmt.Errorf("directory file: %w", err)
	}
	d.file, d.changed = file, o.Changed
	return d, nil
}

// Run watches the file until ctx ends. It returns nil.
func (d *File) Run(ctx context.Context) error {
	return d.file.Run(ctx)
}

// Invalidate does nothing: Run reads the file again when it changes.
func (*File) Invalidate(Change) {}

// Lookup describes the entities of ids, in order.
func (d *File) Lookup(_ context.Context, caller Caller, ids []events.ID, entities []Entity) {
	records := *d.records.Load()
	for i, id := range ids {
		entities[i] = records[id].seenBy(caller.User)
	}
}

// load puts a version of the file into force.
func (d *File) load(data []byte, parse func([]byte) ([]document, error)) error {
	documents, err := parse(data)
	if err != nil {
		return err
	}
	records := make(map[events.ID]*Record, len(documents))
	for i := range documents {
		id, ok := events.ParseID(documents[i].ID)
		if !ok {
			return fmt.Errorf("entity %d: id: not a GUID", i+1)
		}
		if _, double := records[id]; double {
			return fmt.Errorf("entity %d: id: %s occurs twice", i+1, id)
		}
		if records[id], err = documents[i].record(); err != nil {
			return fmt.Errorf("entity %d (%s): %w", i+1, id, err)
		}
	}
	d.records.Store(&records)
	if d.changed != nil {
		d.changed(Change{All: true})
	}
	return nil
}

// fileForm is the content of the file.
type fileForm struct {
	Entities []document `json:"entities" yaml:"entities"`
}

func parseYAML(data []byte) ([]document, error) {
	var file fileForm
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	decoder.KnownFields(true)
	if err := decoder.Decode(&file); err != nil {
		return nil, err
	}
	if err := decoder.Decode(&struct{}{}); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one document")
	}
	return file.Entities, nil
}

func parseJSON(data []byte) ([]document, error) {
	var file fileForm
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&file); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one document")
	}
	return file.Entities, nil
}
