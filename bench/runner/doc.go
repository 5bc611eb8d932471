// Package runner plays scenarios against peers and measures them.
package runner
