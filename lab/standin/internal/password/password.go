// Package password checks password hashes and makes API keys.
package password

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"strings"

	"github.com/alexedwards/argon2id"
	"golang.org/x/crypto/bcrypt"

	"tailwart.lab/standin/internal/ids"
)

// Verify checks a password against an argon2id or bcrypt hash in PHC form.
func Verify(hash, secret string) bool {
	if strings.HasPrefix(hash, "$2") {
		return bcrypt.CompareHashAndPassword([]byte(hash), []byte(secret)) == nil
	}
	params, _, _, err := argon2id.DecodeHash(hash)
	// Limits keep a hostile hash from taking the machine's memory.
	if err != nil || params.KeyLength == 0 || params.Memory > 1<<21 || params.Iterations == 0 || params.Iterations > 64 || params.Parallelism == 0 {
		return false
	}
	right, err := argon2id.ComparePasswordAndHash(secret, hash)
	return err == nil && right
}

// Hash makes an argon2id hash. Only a machine without random numbers cannot.
func Hash(secret string) string {
	hash, err := argon2id.CreateHash(secret, &argon2id.Params{Memory: 19456, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32})
	if err != nil {
		panic(err)
	}
	return hash
}

// IsHash says whether a secret is a hash already.
func IsHash(secret string) bool { return strings.HasPrefix(secret, "$") }

// NewAPIKey makes the text of an API key: the account, the key, and 20 random bytes.
func NewAPIKey(prefix, accountID, keyID string) string {
	account, _ := ids.Decode(accountID)
	key, _ := ids.Decode(keyID)
	raw := binary.BigEndian.AppendUint32(nil, uint32(account))
	raw = binary.BigEndian.AppendUint32(raw, uint32(key))
	random := make([]byte, 20)
	rand.Read(random)
	return prefix + base64.RawURLEncoding.EncodeToString(append(raw, random...))
}

// ParseAPIKey reads the account and key ids of an API key.
func ParseAPIKey(token string) (accountID, keyID string, ok bool) {
	body, found := strings.CutPrefix(token, "API_")
	raw, err := base64.RawURLEncoding.DecodeString(body)
	if !found || err != nil || len(raw) != 28 {
		return "", "", false
	}
	return ids.Encode(uint64(binary.BigEndian.Uint32(raw))), ids.Encode(uint64(binary.BigEndian.Uint32(raw[4:]))), true
}

// Fingerprint is how an API key is kept: it is random, so a plain digest is enough.
func Fingerprint(token string) string {
	sum := sha256.Sum256([]byte(token))
	return "sha256:" + hex.EncodeToString(sum[:])
}
