package console

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/rte-server/rte-server/internal/authz/token"
	"github.com/rte-server/rte-server/internal/hub"
)

// object is a JSON object.
type object = map[string]any

// OpenAPI returns the OpenAPI 3.1 document of the operator API, as JSON.
func OpenAPI() []byte {
	paths := map[string]object{}
	for i := range endpoints {
		e := &endpoints[i]
		if paths[e.path] == nil {
			paths[e.path] = object{}
		}
		paths[e.path][strings.ToLower(e.method)] = e.describe()
	}
	text, _ := json.MarshalIndent(object{ // it consists of types that can be encoded
		"openapi": "3.1.0",
		"info": object{
			"title": "rte-server operator API", "version": "1",
			"description": "The operator port. The actions of the operator port. docs/operations.md explains them.",
		},
		"security": []object{{"token": []string{}}},
		"paths":    paths,
		"components": object{
			"securitySchemes": object{"token": object{"type": "http", "scheme": "bearer"}},
		},
	}, "", "  ")
	return append(text, '\n')
}

// describe returns the operation of the endpoint.
func (e *endpoint) describe() object {
	parameters := []object{}
	if strings.Contains(e.path, "{id}") {
		id := parameter("id", "path", true)
		if strings.HasPrefix(e.path, "/api/events/") {
			id["schema"] = object{"type": "string", "format": "uuid"}
		}
		parameters = append(parameters, id)
	}
	for name := range strings.FieldsSeq(e.parameters) {
		name, required := strings.CutSuffix(name, "*")
		parameters = append(parameters, parameter(name, "query", required))
	}
	failure := func(text string) object {
		return object{"description": text, "content": object{"application/json": object{"schema": object{
			"type": "object", "properties": object{"error": object{"type": "string"}}, "required": []string{"error"},
		}}}}
	}
	schema := object{"application/json": object{"schema": schemaOf(reflect.TypeOf(e.answer))}}
	if kind, ok := e.answer.(mediaType); ok {
		schema = object{string(kind): object{"schema": object{"type": "string"}}}
	}
	operation := object{
		"summary": e.summary, "parameters": parameters,
		"responses": object{
			"200": object{"description": "done", "content": schema},
			"400": failure("the request is wrong"),
			"401": object{"description": "no token, or a wrong one"},
			"429": object{"description": "too many wrong tokens from this address; see Retry-After"},
			"403": object{"description": "the role of the token does not allow it"},
			"503": failure("not possible now"),
		},
	}
	if e.method != http.MethodGet && e.path != publishPath {
		operation["responses"].(object)["202"] = object{"description": "done by this node only", "content": schema}
	}
	if e.path == publishPath {
		operation["responses"].(object)["207"] = object{"description": "some events were refused", "content": schema}
	}
	if strings.HasSuffix(e.path, "z") { // the probes
		operation["security"] = []object{}
	}
	if e.body != nil {
		operation["responses"].(object)["413"] = failure("the body is too long")
		operation["requestBody"] = object{
			"required": true,
			"content":  object{"application/json": object{"schema": schemaOf(reflect.TypeOf(e.body))}},
		}
	}
	return operation
}

// parameter describes a parameter; one name has one meaning in all paths.
func parameter(name, in string, required bool) object {
	schema := object{"type": "string"}
	switch name {
	case "user", "entity", "organization":
		schema["format"] = "uuid"
	case "limit", "offset", "connections":
		schema = object{"type": "integer", "minimum": 0}
	case "nodes":
		schema["enum"] = []string{string(allNodes), string(thisNode)}
	case "data":
		schema["enum"] = []string{dataMasked, dataNone, dataFull}
	case "level":
		schema["enum"] = []string{"debug", "info", "warn", "error"}
	case "sample":
		schema = object{"type": "number", "exclusiveMinimum": 0, "maximum": 1}
	case "seconds":
		schema = object{"type": "number", "minimum": 0}
	case "slow":
		schema["enum"] = []string{"true", "false"}
	case "protocol":
		schema["enum"] = []string{"json", "messagepack"}
	}
	return object{"name": name, "in": in, "required": required, "schema": schema}
}

// schemaOf returns the JSON schema of a type.
func schemaOf(t reflect.Type) object {
	switch t {
	case reflect.TypeFor[anyEvents]():
		event := object{"type": "object"}
		return object{"anyOf": []object{event, {"type": "array", "items": event}}}
	case reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case reflect.TypeFor[token.Revocation](), reflect.TypeFor[hub.Refusal]():
		return object{"type": "object"} // it encodes itself
	}
	switch t.Kind() {
	case reflect.Pointer:
		return object{"anyOf": []object{schemaOf(t.Elem()), {"type": "null"}}}
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int64, reflect.Uint64:
		return object{"type": "integer"}
	case reflect.Float64:
		return object{"type": "number"}
	case reflect.Slice:
		return object{"type": "array", "items": schemaOf(t.Elem())}
	case reflect.Map:
		return object{"type": "object"}
	case reflect.Struct:
		return structSchema(t)
	default:
		panic("no schema of " + t.String() + " " + strconv.Itoa(int(t.Kind())))
	}
}

func structSchema(t reflect.Type) object {
	properties, required := object{}, []string{}
	for _, f := range reflect.VisibleFields(t) {
		name, option, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous || !f.IsExported() || name == "" || name == "-" {
			continue
		}
		properties[name] = schemaOf(f.Type)
		if option != "omitempty" {
			required = append(required, name)
		}
	}
	return object{"type": "object", "properties": properties, "required": required}
}
