// Package api has the documents that describe the server's interface for other programs. internal/events/generate makes
// all of its files except this one and operator.openapi.json, which internal/console describes.
package api

import _ "embed" // for the document

//go:embed asyncapi.yaml
var asyncAPI string

// AsyncAPI returns the AsyncAPI 3.0 document of the hub and of the lanes in Redis, as YAML.
func AsyncAPI() string { return asyncAPI }
