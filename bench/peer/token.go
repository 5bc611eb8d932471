package peer

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"
)

// secret signs the tokens of the bench. It is public on purpose.
const secret = "a secret of the bench, for servers on loopback only"

const tokenLife = time.Hour

// signToken makes a JWT with HS256 (RFC 7515, section 3.1).
func signToken(claims map[string]any) string {
	body, err := json.Marshal(claims)
	if err != nil {
		panic(fmt.Sprintf("claims of the bench: %v", err)) // strings and numbers only
	}
	text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + base64.RawURLEncoding.EncodeToString(body)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}
