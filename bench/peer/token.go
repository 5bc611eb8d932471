package peer

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"
)

// secret signs the tokens of the bench. It is deliberately public.
const secret = "a secret of the bench, for servers on loopback only"

const tokenLife = time.Hour

// signToken returns a JWT with HS256 (RFC 7515, section 3.1).
func signToken(claims map[string]any) string {
	body, err := json.Marshal(claims)
	if err != nil {
		panic(fmt.Sprintf("claims of the bench: %v", err)) // strings and numbers only
	}
	encode := base64.RawURLEncoding.EncodeToString
	text := encode([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + encode(body)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(text))
	return text + "." + encode(mac.Sum(nil))
}
