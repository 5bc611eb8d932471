// Package contract tests the files that are generated from the catalog of events with third-party programs: ajv, the
// AsyncAPI parser, the TypeScript compiler and Microsoft's MessagePack hub protocol. It contains only tests.
package contract
