// Package diagnosis describes the results of checks of foreign servers. A Finding has the checked property, the result
// and the next step. It is a leaf. The packages that own a driver return findings, and "rte-server config check
// --connect" prints them.
package diagnosis
