// Package guide runs what docs/client-guide.md and docs/faq.md show: each program and each command, against a
// development server that also restarts, and compares the output with the page. It also plays a client of the original
// system.
package guide
