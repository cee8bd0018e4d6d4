package conformance

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/cleave-go/cleave/platform/rpc"
	conformancev1 "github.com/cleave-go/cleave/platform/rpc/conformance/internal/connectrpc/conformance/v1"
	"github.com/cleave-go/cleave/platform/rpc/conformance/internal/connectrpc/conformance/v1/conformancev1connect"
)

// serve is the program that the runner starts: it reads what to serve, says where it does, and serves until it is killed.
func serve(in io.Reader, out io.Writer) error {
	time.AfterFunc(2*patience, func() { os.Exit(1) }) // If nobody is left to kill it.
	request := new(conformancev1.ServerCompatRequest)
	if err := readMessage(in, request); err != nil {
		return fmt.Errorf("read request: %w", err)
	}
	handler, err := newServer(int(request.GetMessageReceiveLimit()))
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler, Protocols: new(http.Protocols), ErrorLog: log.New(io.Discard, "", 0)}
	server.Protocols.SetHTTP1(request.GetHttpVersion() == conformancev1.HTTPVersion_HTTP_VERSION_1)
	server.Protocols.SetHTTP2(request.GetHttpVersion() == conformancev1.HTTPVersion_HTTP_VERSION_2)
	server.Protocols.SetUnencryptedHTTP2(request.GetHttpVersion() == conformancev1.HTTPVersion_HTTP_VERSION_2)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	address := listener.Addr().(*net.TCPAddr)
	response := &conformancev1.ServerCompatResponse{Host: address.IP.String(), Port: uint32(address.Port)}
	if request.GetUseTls() {
		response.PemCert = request.GetServerCreds().GetCert()
		certificate, err := tls.X509KeyPair(request.GetServerCreds().GetCert(), request.GetServerCreds().GetKey())
		if err != nil {
			return err
		}
		server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	}
	if err := writeMessage(out, response); err != nil {
		return fmt.Errorf("write response: %w", err)
	}
	if request.GetUseTls() {
		return server.ServeTLS(listener, "", "")
	}
	return server.Serve(listener)
}

// newServer returns the seam's server with the runner's service.
func newServer(limit int) (*rpc.Server, error) {
	server, err := rpc.NewServer(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError + 1})))
	if err != nil {
		return nil, err
	}
	described, err := describe()
	if err != nil {
		return nil, err
	}
	outer := &headers{}
	mount := func(h *service, options ...connect.HandlerOption) (string, http.Handler) {
		options = append([]connect.HandlerOption{connect.WithInterceptors(outer)}, options...)
		if limit > 0 { // The last one holds. The seam's own limit is larger.
			options = append(options, connect.WithReadMaxBytes(limit))
		}
		return conformancev1connect.NewConformanceServiceHandler(h, options...)
	}
	return server, server.Handle(rpc.NewHandler(described, &service{headers: outer}, mount))
}

// describe makes the description that protoc-gen-cleave would generate, which refuses the service for its client streams.
func describe() (*rpc.Service, error) {
	desc := conformancev1.File_connectrpc_conformance_v1_service_proto.Services().ByName("ConformanceService")
	described := &rpc.Service{Name: string(desc.FullName()), Module: "conformance"}
	for i := range desc.Methods().Len() {
		method := desc.Methods().Get(i)
		if method.IsStreamingClient() {
			continue
		}
		request, err := maker(method.Input())
		if err != nil {
			return nil, err
		}
		response, err := maker(method.Output())
		if err != nil {
			return nil, err
		}
		described.Methods = append(described.Methods, &rpc.Method{
			Name: string(method.Name()), Procedure: fmt.Sprintf("/%s/%s", desc.FullName(), method.Name()),
			ServerStream: method.IsStreamingServer(), Public: true, Access: rpc.Access{Who: rpc.Anyone}, NewRequest: request, NewResponse: response, CheckRequest: check, CheckResponse: check,
		})
	}
	return described, nil
}

func maker(desc protoreflect.MessageDescriptor) (func() proto.Message, error) {
	message, err := protoregistry.GlobalTypes.FindMessageByName(desc.FullName())
	if err != nil {
		return nil, err
	}
	return func() proto.Message { return message.New().Interface() }, nil
}

func check(message proto.Message) error {
	_, err := proto.Marshal(message)
	return err
}

func readMessage(from io.Reader, into proto.Message) error {
	var size uint32
	if err := binary.Read(from, binary.BigEndian, &size); err != nil {
		return err
	}
	if size > 1<<20 {
		return errors.New("message is too large")
	}
	encoded := make([]byte, size)
	if _, err := io.ReadFull(from, encoded); err != nil {
		return err
	}
	return proto.Unmarshal(encoded, into)
}

func writeMessage(to io.Writer, message proto.Message) error {
	encoded, err := proto.Marshal(message)
	if err != nil {
		return err
	}
	_, err = to.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(encoded))), encoded...))
	return err
}
