// Package diagnosis describes what a check of a foreign server found: a Finding has what was checked, the result and
// what to do next. It is a leaf. The packages that own a driver return findings, and "rte-server config check
// --connect" prints them.
package diagnosis
