// Package config is the configuration of the server: its keys with their defaults and meaning, the sources that give
// them values, what must hold of them together, and their documentation. It reads the configuration file and nothing
// else.
package config
