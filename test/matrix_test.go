package test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	identityv1 "github.com/cleave-go/cleave/gen/cleave/identity/v1"
	"github.com/cleave-go/cleave/gen/cleave/identity/v1/identityv1connect"
	"github.com/cleave-go/cleave/gen/cleave/platform/event/v1/eventv1cleave"
	platformv1 "github.com/cleave-go/cleave/gen/cleave/platform/v1"
	"github.com/cleave-go/cleave/gen/contract"
	"github.com/cleave-go/cleave/platform/auth/authtest"
	"github.com/cleave-go/cleave/platform/module"
	"github.com/cleave-go/cleave/platform/mtls/authority"
	"github.com/cleave-go/cleave/platform/mtls/mtlstest"
	"github.com/cleave-go/cleave/platform/rpc"
	"github.com/cleave-go/cleave/platform/topology"
	"github.com/cleave-go/cleave/test/house"
)

// verdict is what a caller meets at a method.
type verdict string

const (
	notThere     verdict = "not there"
	signInFirst  verdict = "sign in first"
	notForCaller verdict = "not for this caller"
	letThrough   verdict = "let in" // What becomes of the request is another matter.
)

// visitor is a kind of caller of the public port.
type visitor struct {
	name   string
	roles  []string
	scopes bool // Whether the token has every scope there is.
	guest  bool
	token  string
}

// TestFunctionLevel calls every method of every contract as every kind of caller, at the public port, and with the certificate of every
// unit at every internal port. What must become of it is read from the contracts and the map of the house: a new method is in it.
func TestFunctionLevel(t *testing.T) {
	binaries := topology.NewBinaries(t)
	for _, layout := range []house.Layout{house.AllInOne, house.AllApart} {
		t.Run(layout.Name, func(t *testing.T) {
			t.Parallel()
			issuer := authtest.Start(t)
			env := issuer.Env()
			env["CLEAVE_RATE_LIMIT"], env["CLEAVE_ANONYMOUS_RATE_LIMIT"] = "0", "0"
			s := layout.Open(t, binaries, house.Options{Env: env, TLS: layout.Name == house.AllApart.Name})
			t.Run("public port", func(t *testing.T) { publicMatrix(t, s, issuer) })
			scopes := strings.Join(rpc.Everything("", contract.Services()).Scopes, " ")
			token := func(subject string, roles ...string) string {
				return issuer.Mint(issuer.Claims(subject, roles...).With(authtest.Claims{"scope": scopes}))
			}
			staff, jane, john := token("usr_staff", "staff"), token("usr_jane"), token("usr_john")
			t.Run("what is another's", func(t *testing.T) { objectLevel(t, s, staff, jane, john) })
			t.Run("what is another guest's", func(t *testing.T) { objectLevel(t, s, staff, newGuest(), newGuest()) })
			t.Run("what is a guest's", func(t *testing.T) { objectLevel(t, s, staff, newGuest(), john) })
			t.Run("what is a customer's, for a guest", func(t *testing.T) { objectLevel(t, s, staff, jane, newGuest()) })
			if s.Authority != nil {
				t.Run("internal ports", func(t *testing.T) { internalMatrix(t, s) })
			}
			t.Run("metrics", func(t *testing.T) { metrics(t, s) })
		})
	}
}

func publicMatrix(t *testing.T, s *shop, issuer *authtest.Issuer) {
	scopes := strings.Join(rpc.Everything("", contract.Services()).Scopes, " ")
	visitors := []visitor{
		{name: "anonymous"}, {name: "app", scopes: true}, {name: "customer", roles: []string{"customer"}, scopes: true},
		{name: "customer without scopes", roles: []string{"customer"}}, {name: "staff", roles: []string{"staff"}, scopes: true},
		{name: "staff without scopes", roles: []string{"staff"}}, {name: "admin", roles: []string{"admin"}, scopes: true},
		{name: "a role nobody knows", roles: []string{"root"}, scopes: true}, {name: "guest", guest: true},
	}
	for i, v := range visitors[1:] {
		if v.guest {
			visitors[i+1].token = newGuest()
			continue
		}
		claims := issuer.Claims("usr_"+strings.ReplaceAll(v.name, " ", "_"), v.roles...)
		if v.scopes {
			claims = claims.With(authtest.Claims{"scope": scopes})
		}
		visitors[i+1].token = issuer.Mint(claims)
	}
	seen := map[verdict]int{}
	client := connectJSON.client(t, s)
	for _, service := range contract.Services() {
		for _, method := range service.Methods {
			access := accessOf(t, service, method)
			for _, v := range visitors {
				want := expected(access, v)
				if method.Pages != nil { // It is reached by these alone.
					want = notThere
				}
				answered, _ := post(t, client, s.Public(), method, v.token, []byte("{}"))
				if got := verdictOf(answered); got != want {
					t.Errorf("%s at %s: %s (%s), want %s", v.name, method.Procedure, got, answered, want)
				}
				seen[want]++
			}
		}
	}
	for _, v := range []verdict{notThere, signInFirst, notForCaller, letThrough} {
		if seen[v] == 0 {
			t.Errorf("no caller is to meet %q: the test looks at the wrong thing", v)
		}
	}
}

// accessOf returns the rule in the contract itself.
func accessOf(t *testing.T, service *rpc.Service, method *rpc.Method) *platformv1.Access {
	t.Helper()
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service.Name + "." + method.Name))
	if err != nil {
		t.Fatal(err)
	}
	return proto.GetExtension(found.Options(), platformv1.E_Access).(*platformv1.Access)
}

// expected says in one line a rule what the contract means.
func expected(a *platformv1.Access, v visitor) verdict {
	inRole := slices.ContainsFunc(v.roles, func(role string) bool { return slices.Contains(a.GetRoles(), role) })
	switch {
	case a.GetVisibility() != platformv1.Visibility_VISIBILITY_PUBLIC:
		return notThere
	case a.GetWho() == platformv1.Who_WHO_ANYONE:
		return letThrough
	case v.guest && a.GetWho() == platformv1.Who_WHO_GUEST:
		return letThrough
	case v.guest || v.token == "":
		return signInFirst
	case a.GetWho() == platformv1.Who_WHO_ROLE && !inRole, a.GetScope() != "" && !v.scopes:
		return notForCaller
	case a.GetWho() == platformv1.Who_WHO_ROLE, a.GetWho() == platformv1.Who_WHO_SIGNED_IN, a.GetWho() == platformv1.Who_WHO_GUEST:
		return letThrough
	}
	return notForCaller
}

func verdictOf(code string) verdict {
	switch code {
	case connect.CodeUnimplemented.String():
		return notThere
	case connect.CodeUnauthenticated.String():
		return signInFirst
	case connect.CodePermissionDenied.String():
		return notForCaller
	}
	return letThrough
}

// post calls a method in Connect's JSON, and returns the code of the answer, "ok" if it has none, and its body.
func post(t *testing.T, client *http.Client, url string, method *rpc.Method, token string, body []byte) (code string, answer []byte) {
	t.Helper()
	kind := "application/json"
	if method.ServerStream {
		kind = "application/connect+json"
		body = append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(body))), body...)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+method.Procedure, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", kind)
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err = io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	wrong := struct {
		Code  string
		Error struct{ Code string }
	}{}
	if response.Header.Get("Content-Type") == "application/connect+json" { // The last item says how it ended.
		last := answer
		for len(last) >= 5 && len(last) > 5+int(binary.BigEndian.Uint32(last[1:5])) {
			last = last[5+binary.BigEndian.Uint32(last[1:5]):]
		}
		if len(last) < 5 || json.Unmarshal(last[5:], &wrong) != nil {
			t.Fatalf("%s: the stream ends with %q", method.Procedure, last)
		}
		wrong.Code = wrong.Error.Code
	} else if response.StatusCode != http.StatusOK && json.Unmarshal(answer, &wrong) != nil {
		t.Fatalf("%s: got %s %q", method.Procedure, response.Status, answer)
	}
	if wrong.Code == "" {
		return "ok", answer
	}
	return wrong.Code, answer
}

// objectLevel has John call every method with an ownership rule for what is Jane's: it is not there, and no list has it. Both are tokens,
// or secrets of guests.
func objectLevel(t *testing.T, s *shop, staff, jane, john string) {
	v := enter(t, s, connectJSON)
	v.ctx = bearing(v.ctx, staff)
	sku := v.product(1990, 100)
	v.ctx = bearing(v.ctx, jane)
	if isGuest(jane) {
		v.email = "jane@example.org"
	}
	// What is Jane's, by the field of a request that names it. An id is that of what the service is about.
	cart := v.cart(item{sku, 1})
	order := v.buy("pm_card_visa", item{sku, 1})
	keeper := jane
	if isGuest(jane) { // Who has none.
		keeper = staff
	}
	kept, err := identityv1connect.NewAddressServiceClient(connectJSON.client(t, s), s.Public(), connectJSON.options...).CreateAddress(bearing(t.Context(), keeper), &identityv1.CreateAddressRequest{
		RequestId: request(), Address: &identityv1.Address{Name: "Jane", Lines: []string{"Main Street 1"}, City: "Springfield", Country: "US"},
	})
	if err != nil {
		t.Fatal(err)
	}
	hers := map[string]string{
		"CartService.id": cart, "cart_id": cart, "quote_id": v.quote(cart).GetId(), "OrderService.id": order.GetId(), "order_id": order.GetId(),
		"QuickOrderService.id": order.GetId(), "AddressService.id": kept.GetAddress().GetId(), "SessionService.id": "ses_of_jane",
	}
	client := connectJSON.client(t, s)
	called := 0
	for _, service := range contract.Services() {
		for _, method := range service.Methods {
			if !method.Access.Owned || isGuest(john) && method.Access.Who != rpc.Guest {
				continue
			}
			asked := method.NewRequest().ProtoReflect()
			named := false
			fields := asked.Descriptor().Fields()
			for i := range fields.Len() {
				field := fields.Get(i)
				name := string(field.Name())
				short := service.Name[strings.LastIndex(service.Name, ".")+1:] + "." + name
				switch {
				case hers[name] != "":
					named = true
					asked.Set(field, protoreflect.ValueOfString(hers[name]))
				case hers[short] != "":
					named = true
					asked.Set(field, protoreflect.ValueOfString(hers[short]))
				case name == "request_id":
					asked.Set(field, protoreflect.ValueOfString(request()))
				case name == "user_id":
					asked.Set(field, protoreflect.ValueOfString(order.GetUserId()))
				case name == "sku":
					asked.Set(field, protoreflect.ValueOfString(sku))
				case name == "product_id": // Nobody's.
				case name == "email":
					if isGuest(john) {
						asked.Set(field, protoreflect.ValueOfString("john@example.org"))
					}
				case name == "payment_method":
					asked.Set(field, protoreflect.ValueOfString("pm_card_visa"))
				case strings.HasSuffix(name, "id") && field.Kind() == protoreflect.StringKind:
					t.Errorf("%s: whose is what %s names? Add it to hers", method.Procedure, name)
				}
			}
			body, err := protojson.Marshal(asked.Interface())
			if err != nil {
				t.Fatal(err)
			}
			code, answer := post(t, client, s.Public(), method, john, body)
			called++
			switch {
			case named && code != connect.CodeNotFound.String():
				t.Errorf("%s of what is another's: %s, want not_found: %s", method.Procedure, code, answer)
			case !named && bytes.Contains(answer, []byte(order.GetUserId())), !named && bytes.Contains(answer, []byte(order.GetId())):
				t.Errorf("%s tells of what is another's: %s", method.Procedure, answer)
			}
			// The same request is answered to whom it belongs: that it was refused says something.
			if named && method.Idempotency == connect.IdempotencyNoSideEffects && (!isGuest(jane) || method.Access.Who == rpc.Guest) {
				if code, answer := post(t, client, s.Public(), method, jane, body); code != "ok" {
					t.Errorf("%s of what is one's own: %s: %s", method.Procedure, code, answer)
				}
			}
		}
	}
	if called == 0 {
		t.Error("no method has an owner: the test looks at the wrong thing")
	}
}

// internalMatrix calls every method at the internal port of its module as every unit of the house, and as nobody.
func internalMatrix(t *testing.T, s *shop) {
	root, err := topology.Root(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "cmd/internal/house/house.json"))
	if err != nil {
		t.Fatal(err)
	}
	drawn, err := module.ParseMap(text)
	if err != nil {
		t.Fatal(err)
	}
	entries := map[string]module.MapModule{}
	clients := map[string]*http.Client{"nobody": mtlstest.Client(t, authority.Pair{})}
	for _, entry := range drawn.Modules {
		entries[entry.Name] = entry
		clients[entry.Name] = mtlstest.Client(t, s.Authority.Unit(entry.Name))
	}
	for _, name := range []string{rpc.EdgeCaller, "stranger"} {
		clients[name] = mtlstest.Client(t, s.Authority.Unit(name))
	}
	hears := func(listener, publisher string) bool {
		return slices.ContainsFunc(entries[listener].Listens, func(l module.MapSubscription) bool { return l.Publisher == publisher })
	}
	let, refused := 0, 0
	check := func(unit, of, procedure string, want bool) {
		got := knock(t, clients[unit], s.Internal(of)+procedure, unit)
		if (got == letThrough) != want {
			t.Errorf("%s at %s of %s: %s, want it let in: %t", unit, procedure, of, got, want)
		}
		if want {
			let++
		} else {
			refused++
		}
	}
	for unit := range clients {
		for _, service := range contract.Services() {
			for _, method := range service.Methods {
				may := slices.Contains(entries[unit].Calls, service.Name) || unit == rpc.EdgeCaller && (method.Public || method.SessionCookie != "")
				check(unit, service.Module, method.Procedure, may)
			}
		}
		for of := range entries {
			prefix := "/modules/" + of
			for _, method := range eventv1cleave.DeliveryService.Methods {
				check(unit, of, prefix+method.Procedure, hears(of, unit))
			}
			for _, method := range eventv1cleave.SubscriptionService.Methods {
				check(unit, of, prefix+method.Procedure, hears(unit, of))
			}
			for _, method := range eventv1cleave.EventService.Methods {
				check(unit, of, prefix+method.Procedure, false)
			}
		}
	}
	if let == 0 || refused == 0 {
		t.Errorf("%d calls are to be let in and %d refused: the test looks at the wrong thing", let, refused)
	}
}

// knock makes a request that no method can read, so that nothing comes of it where it is let in.
func knock(t *testing.T, client *http.Client, url, caller string) verdict {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader("\xff"))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/proto")
	request.Header.Set("Cleave-Caller", caller)
	response, err := client.Do(request)
	if err != nil {
		return notForCaller // There is no connection without a certificate.
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	var wrong struct{ Code string }
	_ = json.Unmarshal(text, &wrong) // A method that streams answers in another form.
	if response.StatusCode == http.StatusNotFound {
		t.Fatalf("%s: %s", url, fmt.Sprintf("%d %s", response.StatusCode, text))
	}
	return verdictOf(wrong.Code)
}
