// Package contract has what is generated from the catalog of events judged by programs that others wrote: ajv, the
// AsyncAPI parser, the TypeScript compiler and Microsoft's MessagePack hub protocol. It has nothing but tests.
package contract
