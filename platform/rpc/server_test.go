package rpc_test

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/cleave-go/cleave/gen/cleave/platform/parity/v1/parityv1cleave"
	"github.com/cleave-go/cleave/platform/rpc"
)

func newServer(t *testing.T) *rpc.Server {
	t.Helper()
	server, err := rpc.NewServer(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return server
}

func TestServiceIsServedOnce(t *testing.T) {
	t.Parallel()
	server := newServer(t)
	if err := server.Handle(parityv1cleave.NewParityServiceHandler(benchService{})); err != nil {
		t.Fatal(err)
	}
	if err := server.Handle(parityv1cleave.NewParityServiceHandler(benchService{})); err == nil {
		t.Error("a second implementation was taken")
	}
}

// A rule that cannot be compiled is found when the service is added, however deep it is, and not by the first caller who meets it.
func TestBrokenRuleStopsTheStart(t *testing.T) {
	t.Parallel()
	options := &descriptorpb.FieldOptions{}
	proto.SetExtension(options, validate.E_Field, &validate.FieldRules{
		Cel: []*validate.Rule{{Id: proto.String("broken"), Expression: proto.String("this.nothing(")}},
	})
	field := func(
		name string, kind descriptorpb.FieldDescriptorProto_Type, of string, options *descriptorpb.FieldOptions,
	) *descriptorpb.FieldDescriptorProto {
		f := &descriptorpb.FieldDescriptorProto{
			Name: proto.String(name), Number: proto.Int32(1), Type: kind.Enum(), Options: options,
			Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
		}
		if of != "" {
			f.TypeName = proto.String(of)
		}
		return f
	}
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("broken.proto"), Package: proto.String("broken"), Syntax: proto.String("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{
			{Name: proto.String("Outer"), Field: []*descriptorpb.FieldDescriptorProto{
				field("inner", descriptorpb.FieldDescriptorProto_TYPE_MESSAGE, ".broken.Inner", nil),
			}},
			{Name: proto.String("Inner"), Field: []*descriptorpb.FieldDescriptorProto{
				field("text", descriptorpb.FieldDescriptorProto_TYPE_STRING, "", options),
			}},
		},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	message := func(name protoreflect.Name) func() proto.Message {
		return func() proto.Message { return dynamicpb.NewMessage(file.Messages().ByName(name)) }
	}
	service := &rpc.Service{Name: "broken.Service", Module: "broken", Methods: []*rpc.Method{{
		Name: "Call", Procedure: "/broken.Service/Call", NewRequest: message("Outer"), NewResponse: message("Outer"),
	}}}
	mount := func(struct{}, ...connect.HandlerOption) (string, http.Handler) {
		return "/broken.Service/", http.NotFoundHandler()
	}
	err = newServer(t).Handle(rpc.NewHandler(service, struct{}{}, mount))
	if err == nil || !strings.Contains(err.Error(), "/broken.Service/Call: rules of broken.Inner") {
		t.Errorf("error is %v", err)
	}
}
