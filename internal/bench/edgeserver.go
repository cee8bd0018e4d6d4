package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	parityv1 "github.com/cleave-go/cleave/gen/cleave/platform/parity/v1"
	"github.com/cleave-go/cleave/gen/cleave/platform/parity/v1/parityv1cleave"
	"github.com/cleave-go/cleave/gen/cleave/platform/parity/v1/parityv1connect"
	"github.com/cleave-go/cleave/platform/auth"
	"github.com/cleave-go/cleave/platform/auth/authtest"
	door "github.com/cleave-go/cleave/platform/edge"
	"github.com/cleave-go/cleave/platform/rpc"
)

// edgeServer is the command that the program runs itself with.
const edgeServer = "edge-server"

// edgePorts says where the server is, and who may call it.
type edgePorts struct {
	Edge, Straight string
	// Tokens are those of some users, which are used again and again. New are for one call each.
	Tokens, New []string
}

const (
	edgeUsers = 100
	newTokens = 30_000
)

// nothing is a module whose method does nothing.
type nothing struct {
	parityv1connect.UnimplementedParityServiceHandler
}

func (nothing) Call(_ context.Context, r *parityv1.CallRequest) (*parityv1.CallResponse, error) {
	return &parityv1.CallResponse{Payload: r.GetPayload()}, nil
}

func edgeServerCommand() *cobra.Command {
	return &cobra.Command{Use: edgeServer, Hidden: true, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		debug.SetGCPercent(400) // As platform/app does.
		ports, err := serveEdge(slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn})))
		if err != nil {
			return err
		}
		if err := json.NewEncoder(cmd.OutOrStdout()).Encode(ports); err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, cmd.InOrStdin()) // Until whoever started it has enough.
		return err
	}}
}

// serveEdge serves a module behind an edge, and without one, from two servers that are alike.
func serveEdge(log *slog.Logger) (*edgePorts, error) {
	issuer := authtest.New("")
	url, err := listenAndServe(&http.Server{Handler: issuer})
	if err != nil {
		return nil, err
	}
	issuer.URL = url
	server, err := rpc.NewServer(log)
	if err != nil {
		return nil, err
	}
	if err := server.Handle(parityv1cleave.NewParityServiceHandler(nothing{})); err != nil {
		return nil, err
	}
	verifier := auth.New(auth.Config{Issuer: issuer.URL, Audience: authtest.Audience, RolesClaim: "roles", Log: log})
	public := door.New(door.Config{
		Services: []*rpc.Service{parityv1cleave.ParityService}, Log: log, Authenticate: verifier.Authenticate,
		Rate: 1_000_000, AnonymousRate: 1_000_000, Route: func(string) http.Handler { return server },
	})
	ports := &edgePorts{}
	web := &http.Server{Handler: public}
	public.Bound(web)
	if ports.Edge, err = listenAndServe(web); err != nil {
		return nil, err
	}
	if ports.Straight, err = listenAndServe(&http.Server{Handler: server}); err != nil {
		return nil, err
	}
	for i := range edgeUsers {
		ports.Tokens = append(ports.Tokens, issuer.Token(fmt.Sprint("usr_", i), "customer"))
	}
	for i := range newTokens {
		ports.New = append(ports.New, issuer.Token(fmt.Sprint("usr_", i%edgeUsers), "customer"))
	}
	client := parityv1connect.NewParityServiceClient(http.DefaultClient, ports.Edge, connect.WithProtoJSON())
	ctx, info := connect.NewClientContext(context.Background())
	info.RequestHeader().Set("Authorization", "Bearer "+ports.Tokens[0])
	if _, err := client.Call(ctx, &parityv1.CallRequest{Case: "bench"}); err != nil {
		return nil, fmt.Errorf("the first call: %w", err)
	}
	return ports, nil
}

// listenAndServe serves on a port of this machine until the process ends, and returns its URL.
func listenAndServe(server *http.Server) (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	server.Protocols = new(http.Protocols)
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	go server.Serve(listener)
	return "http://" + listener.Addr().String(), nil
}
