import Testing

/// The kernel as a peer of our UDP sockets.
@Suite("UDP with the kernel", .serialized, .enabled(if: Kernel.isWanted, Kernel.comment))
struct UDPKernelTests {
    @Test(
        "A datagram comes back by both families, in fragments too, over TAP and over TUN [RFC 862, RFC 768]",
        arguments: ["tap", "tun"])
    func datagrams(kind: String) throws {
        let space = try Namespace()
        let serving = kind == "tap" ? try space.serveTAP(["--echo", "7"]) : try space.serve(["--echo", "7"])
        if kind == "tap" { try space.waitForKernelAddresses() }
        let program = """
            import socket, sys
            for address in sys.argv[1:]:
                family = socket.AF_INET6 if ':' in address else socket.AF_INET
                with socket.socket(family, socket.SOCK_DGRAM) as s:
                    s.settimeout(10)
                    s.connect((address, 7))
                    for size in (0, 1, 1400, 9000, 65000):
                        data = bytes(i * 7 % 251 for i in range(size))
                        s.send(data)
                        assert s.recv(70000) == data, (address, size)
                with socket.socket(family, socket.SOCK_DGRAM) as s:
                    s.settimeout(10)
                    s.connect((address, 9))
                    s.send(b'?')
                    try:
                        s.recv(10)
                        raise SystemExit('nobody listens there')
                    except ConnectionRefusedError:
                        print('refused', address)
            """
        let told = try space.run("python3", "-c", program, Namespace.ours4, Namespace.ours6)
        #expect(told == "refused \(Namespace.ours4)\nrefused \(Namespace.ours6)\n")
        try space.stop(serving)
    }
}
