package config_test

import (
	"os"
	"testing"

	"github.com/rte-server/rte-server/internal/config"
)

// TestDoc_isCheckedIn keeps the checked-in documentation equal to the list of keys.
func TestDoc_isCheckedIn(t *testing.T) {
	checkedIn, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(checkedIn) != config.Doc() {
		t.Error("docs/configuration.md is not what \"rte-server config doc\" prints: run it again")
	}
}
