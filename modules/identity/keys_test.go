package identity

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"

	identityv1 "github.com/cleave-go/cleave/gen/cleave/identity/v1"
	"github.com/cleave-go/cleave/gen/cleave/identity/v1/identityv1cleave"
	"github.com/cleave-go/cleave/platform/moduletest"
)

// An operator has the next key made. It is published at once, so that no token fails that it signs later, and no other is made meanwhile.
func TestRotateNow(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.app(t)
	jane := b.jane(t)
	p := b.party(t)
	first := p.tokens(t, jane)
	published := strings.Count(jane.get(t, keysPath).body, `"kid"`)
	keys := identityv1cleave.NewKeyServiceClient(b.Caller("operator", identityv1cleave.KeyService))
	rotate := func() *identityv1.SigningKey {
		t.Helper()
		answer, err := keys.RotateKeys(moduletest.As(t, ""), &identityv1.RotateKeysRequest{})
		must(t, err)
		return answer.GetKey()
	}
	next := rotate()
	if again := rotate(); again.GetId() != next.GetId() {
		t.Errorf("there is another key, %s beside %s", again.GetId(), next.GetId())
	}
	if body := jane.get(t, keysPath).body; published != 1 || strings.Count(body, `"kid"`) != 2 || !strings.Contains(body, next.GetId()) || strings.Contains(body, `"d":`) {
		t.Errorf("the keys are %s", body)
	}
	if now := keyOf(t, p.tokens(t, jane).AccessToken); now == next.GetId() {
		t.Error("a key signs that nobody knows yet")
	}
	b.Exec(t, "UPDATE identity.signing_key SET use_time = now() WHERE id = $1", next.GetId()) // Two hours later.
	second := p.tokens(t, jane)
	if now := keyOf(t, second.AccessToken); now != next.GetId() {
		t.Errorf("signed with %s, want %s", now, next.GetId())
	}
	verifier := p.provider.VerifierContext(p.ctx, &oidc.Config{ClientID: "app"})
	for _, raw := range []any{first.Extra("id_token"), second.Extra("id_token")} {
		_, err := verifier.Verify(p.ctx, raw.(string))
		must(t, err)
	}
	listed, err := keys.ListKeys(moduletest.As(t, ""), &identityv1.ListKeysRequest{})
	must(t, err)
	if len(listed.GetKeys()) != 2 || listed.GetKeys()[1].GetId() != next.GetId() || listed.GetKeys()[1].GetEncrypted() {
		t.Errorf("the keys are %v", listed.GetKeys())
	}
}

// What the signing keys are encrypted with is none of the database's, can be changed, and is needed to sign.
func TestKeysAreEncrypted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.app(t)
	jane := b.jane(t)
	p := b.party(t)
	token := p.tokens(t, jane)
	open := func(keys ...string) *service {
		t.Helper()
		v, err := openVault(strings.Join(keys, "\n"))
		must(t, err)
		return &service{store: storeOf(b), vault: v}
	}
	kept := func() []byte { return moduletest.Value[[]byte](t, b.House, "SELECT private FROM identity.signing_key") }
	signs := func(s *service) error {
		key, err := s.signer(t.Context())
		if err == nil && key.id != keyOf(t, token.AccessToken) {
			t.Errorf("%s signs", key.id)
		}
		// Tokens are verified also where the vault cannot be opened, for instance because a replica has no key yet.
		if set, _, setErr := s.keySet(t.Context()); setErr != nil || len(set.Key(keyOf(t, token.AccessToken))) != 1 {
			t.Errorf("the keys are published: %v, %v", set, setErr)
		}
		return err
	}
	one, two := base64.StdEncoding.EncodeToString(random(32)), base64.StdEncoding.EncodeToString(random(32))
	plain := kept()
	must(t, signs(open(one))) // Before it was encrypted.
	for _, s := range []*service{open(), open(plainly, one)} {
		b.Exec(t, "UPDATE identity.signing_key SET public = NULL") // As a release before has made it.
		must(t, signs(s))
		must(t, s.rotateKeys(t.Context()))
		if string(kept()) != string(plain) {
			t.Error("it is not kept as it is")
		}
	}
	must(t, open(one).rotateKeys(t.Context()))
	first := kept()
	if first[0] != sealed || strings.Contains(string(first), string(plain[100:200])) {
		t.Error("it is not encrypted")
	}
	must(t, open(one).rotateKeys(t.Context()))
	if string(kept()) != string(first) {
		t.Error("it is encrypted again and again")
	}
	for name, s := range map[string]*service{"without a key": open(), "with another": open(two)} {
		if err := signs(s); err == nil || !strings.Contains(err.Error(), keySetting) {
			t.Errorf("%s it signs: %v", name, err)
		}
		if err := s.rotateKeys(t.Context()); (err == nil) != (name == "without a key") || string(kept()) != string(first) {
			t.Errorf("%s it is kept anew: %v", name, err)
		}
	}
	must(t, signs(open(plainly, one))) // A replica that waits for the others.
	// The next key: both are known everywhere, and then the first is not needed any more.
	must(t, signs(open(one, two)))
	must(t, open(two, one).rotateKeys(t.Context()))
	must(t, signs(open(two)))
	if signs(open(one)) == nil {
		t.Error("it is still encrypted with the first key")
	}
	if _, _, err := open(two).vault.open("key_another", kept()); err == nil {
		t.Error("it is good for another key's id")
	}
	s := open(two)
	b.Exec(t, "DELETE FROM identity.signing_key")
	must(t, s.rotateKeys(t.Context()))
	if kept()[0] != sealed {
		t.Error("a new key is not encrypted")
	}
	must(t, open(plainly, two).rotateKeys(t.Context()))
	if kept()[0] == sealed {
		t.Error("it is still encrypted")
	}
	for _, wrong := range []string{one + " " + plainly, "x", one[:20], one + "AAAA", one + "\nx"} {
		if _, err := openVault(wrong); err == nil {
			t.Errorf("%q is a key", wrong)
		}
	}
}
