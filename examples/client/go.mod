module example.com/client

go 1.26.0

require (
	connectrpc.com/connect v1.21.1
	github.com/cleave-go/cleave v0.0.0
	google.golang.org/genproto/googleapis/rpc v0.0.0-20261019180522-ce908d29299b
)

require (
	buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go v1.36.12-20260825204119-511051f7f437.1 // indirect
	google.golang.org/genproto/googleapis/api v0.0.0-20261019180522-ce908d29299b // indirect
	google.golang.org/protobuf v1.36.12 // indirect
)

// In an app of your own: a version of Cleave instead.
replace github.com/cleave-go/cleave => ../..
