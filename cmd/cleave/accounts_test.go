package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	identityv1 "github.com/cleave-go/cleave/gen/cleave/identity/v1"
	"github.com/cleave-go/cleave/gen/cleave/identity/v1/identityv1cleave"
	"github.com/cleave-go/cleave/gen/cleave/identity/v1/identityv1connect"
	notificationsv1 "github.com/cleave-go/cleave/gen/cleave/notifications/v1"
	"github.com/cleave-go/cleave/gen/cleave/notifications/v1/notificationsv1connect"
	"github.com/cleave-go/cleave/gen/cleave/orders/v1/ordersv1cleave"
	"github.com/cleave-go/cleave/gen/cleave/orders/v1/ordersv1connect"
	"github.com/cleave-go/cleave/modules/identity"
	"github.com/cleave-go/cleave/platform/module"
	"github.com/cleave-go/cleave/platform/moduletest"
	"github.com/cleave-go/cleave/platform/rpc"
)

// box is a development mailbox.
type box struct{}

func (box) ListMails(_ context.Context, r *notificationsv1.ListMailsRequest) (*notificationsv1.ListMailsResponse, error) {
	return &notificationsv1.ListMailsResponse{Mails: []*notificationsv1.SentMail{{Recipient: "usr_1", Subject: "A new password", Body: "Hello,\n\nfollow " + r.GetRecipient() + "\n"}}}, nil
}

// TestAccounts looks after accounts and clients of the module identity as an operator does.
func TestAccounts(t *testing.T) {
	t.Parallel()
	// Orders is there to be called by identity, which calls it for nobody here.
	orders := module.Module{
		Name: "orders", Serves: []*rpc.Service{ordersv1cleave.GuestService},
		Build: func(*module.Host) ([]rpc.Handler, error) {
			return []rpc.Handler{ordersv1cleave.NewGuestServiceHandler(ordersv1connect.UnimplementedGuestServiceHandler{})}, nil
		},
	}
	h := moduletest.Start(t, identity.Module, orders)
	caller := h.Caller("operator", identityv1cleave.ClientService, identityv1cleave.DeskService, identityv1cleave.KeyService)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /modules", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode([]string{"identity", "notifications"})
	})
	mux.Handle(identityv1connect.NewClientServiceHandler(identityv1cleave.NewClientServiceClient(caller)))
	mux.Handle(identityv1connect.NewDeskServiceHandler(identityv1cleave.NewDeskServiceClient(caller)))
	mux.Handle(identityv1connect.NewKeyServiceHandler(identityv1cleave.NewKeyServiceClient(caller)))
	mux.Handle(notificationsv1connect.NewMailboxServiceHandler(box{}))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	h.Exec(t, `INSERT INTO identity.account (id, state, email, roles) VALUES ('usr_1', 'active', 'jane@example.com', '["customer"]'), ('usr_2', 'invited', 'john@example.com', '[]')`)
	for _, c := range []struct{ args, says, fails string }{
		{"accounts show jane@example.com", "usr_1 active jane@example.com false", ""},
		{"accounts show nobody@example.com", "", "not found"},
		{"accounts roles Jane@example.com customer,admin", "customer,admin", ""},
		{"accounts roles usr_1 root", "", "roles"},
		{"accounts lock usr_1", "usr_1 locked", ""},
		{"accounts lock usr_1", "usr_1 locked", ""}, // It may be repeated.
		{"accounts unlock usr_1", "usr_1 active", ""},
		{"accounts lock usr_2", "", "is invited and cannot become locked"},
		{"clients put web --name Web --redirect https://shop.example/callback --scopes openid,email --trusted", "web Web https://shop.example/callback openid email true false", ""},
		{"clients put web --name Web --redirect http://shop.example/callback", "", "must begin with https://"},
		{"clients put job --name Job --scopes orders:read --roles staff --confidential", "", "a confidential client needs one"},
		{"clients list", "web Web", ""},
		{"clients delete web", "", ""},
		{"keys rotate", "key_", ""},
		{"keys list", "false", ""},
		{"mailbox --to usr_7", "to usr_1: A new password Hello, follow usr_7", ""},
	} {
		printed, err := run(t, append(strings.Fields(c.args), "--admin", server.URL)...)
		if (err != nil) != (c.fails != "") || err != nil && !strings.Contains(err.Error(), c.fails) {
			t.Errorf("cleave %s: %v, want %q", c.args, err, c.fails)
		}
		if !strings.Contains(strings.Join(strings.Fields(printed), " "), c.says) {
			t.Errorf("cleave %s says %q, want %q", c.args, printed, c.says)
		}
	}
	secret, err := run(t, "clients", "put", "job", "--name", "Job", "--scopes", "orders:read", "--roles", "staff", "--secret", "--admin", server.URL)
	if err != nil || len(strings.TrimSpace(secret)) < 40 {
		t.Fatalf("a secret is %q: %v", secret, err)
	}
	listed, err := identityv1cleave.NewClientServiceClient(caller).ListClients(moduletest.As(t, ""), &identityv1.ListClientsRequest{})
	if err != nil || len(listed.GetClients()) != 1 || !listed.GetClients()[0].GetConfidential() {
		t.Errorf("there are the clients %v, %v", listed, err)
	}
}
