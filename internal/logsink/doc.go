// Package logsink puts a bounded queue between a logger and the file, pipe or socket of its lines. The logger never
// waits: a full pipe, a dead reader or a full disk costs lines, which are counted, and nothing else.
package logsink
