// Package loopback recognizes addresses that only this machine can reach.
package loopback
