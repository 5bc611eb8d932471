// Package api has the documents that describe the interface of the server to other programs. All but this file is
// generated from the catalog of events, see internal/events/generate.
package api

import _ "embed" // for the document

//go:embed asyncapi.yaml
var asyncAPI string

// AsyncAPI is the AsyncAPI 3.0 document of the hub and of the lanes of Redis, in YAML.
func AsyncAPI() string { return asyncAPI }
