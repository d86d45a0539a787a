// Package password checks password hashes and makes API keys.
package password

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"

	"tailwart.lab/standin/internal/ids"
)

// Verify checks a password against an argon2id or bcrypt hash in PHC form.
func Verify(hash, secret string) bool {
	if strings.HasPrefix(hash, "$2") {
		return bcrypt.CompareHashAndPassword([]byte(hash), []byte(secret)) == nil
	}
	var version int
	var memory, rounds uint32
	var threads uint8
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[1] != "argon2id" {
		return false
	}
	if _, err := fmt.Sscanf(parts[2], "v=%d", &version); err != nil || version != argon2.Version {
		return false
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &memory, &rounds, &threads); err != nil {
		return false
	}
	salt, saltErr := base64.RawStdEncoding.DecodeString(parts[4])
	want, wantErr := base64.RawStdEncoding.DecodeString(parts[5])
	// Limits keep a hostile hash from taking the machine's memory.
	if saltErr != nil || wantErr != nil || len(want) == 0 || memory > 1<<21 || rounds == 0 || rounds > 64 || threads == 0 {
		return false
	}
	got := argon2.IDKey([]byte(secret), salt, rounds, memory, threads, uint32(len(want)))
	return subtle.ConstantTimeCompare(got, want) == 1
}

// Hash makes an argon2id hash.
func Hash(secret string) string {
	salt := make([]byte, 16)
	rand.Read(salt)
	const memory, rounds, threads = 19456, 2, 1
	sum := argon2.IDKey([]byte(secret), salt, rounds, memory, threads, 32)
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, memory, rounds, threads,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(sum))
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
