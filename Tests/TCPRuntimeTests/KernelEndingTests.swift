import CLinux
import Glibc
import Testing

/// One end dies, and the other must end as the RFC says.
@Suite("When one end is killed", .serialized, .enabled(if: Kernel.isWanted, Kernel.comment))
struct KernelEndingTests {
    @Test("A killed kernel client leaves no connection of ours behind")
    func killedClient() throws {
        let space = try Namespace()
        // More than any buffer on the way holds.
        try space.run("truncate", "-s", "50M", space.scratch.file("large"))
        let serving = try space.serve(["--echo", "7", "--chargen", "19", "--http", space.scratch.path])
        // One is idle, one reads nothing, one keeps its side open after ours has closed; two close theirs and read nothing.
        let program = """
            import socket, sys, time
            kind = sys.argv[1]
            s = socket.socket(socket.AF_INET6 if ":" in sys.argv[2] else socket.AF_INET)
            # So little that what we have for it, small as our buffers are at first, does not fit.
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.connect((sys.argv[2], int(sys.argv[3])))
            if kind == "finwait":
                s.sendall(b"HEAD / HTTP/1.0\\r\\n\\r\\n")
                while s.recv(4096): pass
            if kind == "closewait":
                s.sendall(b"GET /large HTTP/1.0\\r\\n\\r\\n")
            if kind in ("closewait", "lastack"):
                s.shutdown(socket.SHUT_WR)
            print("held", file=sys.stderr, flush=True)
            time.sleep(60)
            """
        for (kind, port, state) in [
            ("idle", "7", "ESTABLISHED"), ("stuffed", "19", "ESTABLISHED"), ("finwait", "80", "FIN-WAIT-2"),
            ("closewait", "80", "CLOSE-WAIT"), ("lastack", "19", "LAST-ACK"),
        ] {
            for host in [Namespace.ours4, Namespace.ours6] {
                let client = try space.start("python3", "-c", program, kind, host, port)
                try client.waitFor("held")
                let held = try space.waitForConnections(serving) { $0.contains { $0.hasSuffix(state) } }
                #expect(held.contains { $0.hasSuffix(state) }, "\(kind): \(held)")
                client.end()
                let left = try space.waitForConnections(serving) { $0.allSatisfy { $0.hasSuffix("TIME-WAIT") } }
                #expect(left.allSatisfy { $0.hasSuffix("TIME-WAIT") }, "\(kind): \(left)")
            }
        }
        try space.stop(serving)
    }

    @Test("Serving that is ended resets its peers", arguments: [SIGINT, SIGTERM])
    func endedServer(signal: Int32) throws {
        let space = try Namespace()
        let serving = try space.serve(["--chargen", "19", "--echo", "7"])
        let program = """
            import socket, sys
            s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
            print("held", file=sys.stderr, flush=True)
            try:
                while s.recv(4096 if sys.argv[2] == "7" else 1 << 16): pass
                print("end of stream", flush=True)
            except ConnectionResetError:
                print("reset", flush=True)
            """
        let idle = try space.start("python3", "-c", program, Namespace.ours4, "7")
        let busy = try space.start("python3", "-c", program, Namespace.ours6, "19")
        try idle.waitFor("held")
        try busy.waitFor("held")
        serving.signal(signal)
        #expect(try serving.wait(seconds: 20) == 0)
        #expect(try idle.wait(seconds: 20) == 0)
        #expect(try busy.wait(seconds: 20) == 0)
        #expect(contents(of: idle.output) == "reset\n")
        #expect(contents(of: busy.output) == "reset\n")
        // The interface that was made is gone.
        #expect(!(try space.run("ip", "link")).contains("tcp0"))
    }

    @Test("A peer of serving that was killed outright is reset by the next one at that address")
    func restartedServer() throws {
        let space = try Namespace()
        // An interface that outlives the process.
        try space.run("ip", "tuntap", "add", "mode", "tun", "name", "tcp0")
        try space.run("ip", "addr", "add", "\(Namespace.kernels4)/24", "dev", "tcp0")
        try space.run("ip", "-6", "addr", "add", "\(Namespace.kernels6)/64", "dev", "tcp0", "nodad")
        try space.run("ip", "link", "set", "tcp0", "up")
        let first = try space.serve(["--discard", "9"])
        #expect(contents(of: first.errors).contains("was there and stays as it is"))
        let program = """
            import socket, sys
            s = socket.create_connection((sys.argv[1], 9))
            print("held", file=sys.stderr, flush=True)
            try:
                while True: s.sendall(bytes(1 << 16))
            except ConnectionResetError:
                print("reset", flush=True)
            """
        let client = try space.start("python3", "-c", program, Namespace.ours4)
        try client.waitFor("held")
        first.end()
        // RFC 9293 §3.5.1: a segment of a connection that one end has forgotten is answered by a reset.
        let second = try space.serve(["--discard", "9"])
        #expect(try client.wait(seconds: 60) == 0)
        #expect(contents(of: client.output) == "reset\n")
        try space.stop(second)
        #expect((try space.run("ip", "link")).contains("tcp0"))
    }

    @Test("tcp connect learns of a killed server")
    func killedServer() throws {
        let space = try Namespace()
        let program = """
            import socket, sys, time
            s = socket.socket(); s.bind(("", 9000)); s.listen()
            print("listening", file=sys.stderr, flush=True)
            c, _ = s.accept()
            c.recv(1)
            print("held", file=sys.stderr, flush=True)
            time.sleep(60)
            """
        let server = try space.start("python3", "-c", program)
        try server.waitFor("listening")
        let endless = try space.start(
            Kernel.command, "connect", "--tun", "tcp0", "--address", "\(Namespace.ours4)/24", Namespace.kernels4,
            "9000",
            input: "/dev/zero")
        try server.waitFor("held")
        server.end()
        #expect(try endless.wait(seconds: 20) == 1)
        #expect(contents(of: endless.errors) == "tcp: The peer reset the connection.\n")
    }

    @Test("A kernel server learns by a reset that tcp connect was ended", arguments: [SIGINT, SIGTERM])
    func endedClient(signal: Int32) throws {
        let space = try Namespace()
        let program = """
            import socket, sys
            s = socket.socket(); s.bind(("", 9000)); s.listen()
            print("listening", file=sys.stderr, flush=True)
            c, _ = s.accept()
            c.recv(1)
            print("held", file=sys.stderr, flush=True)
            try:
                while c.recv(1 << 16): pass
                print("end of stream", flush=True)
            except ConnectionResetError:
                print("reset", flush=True)
            """
        let server = try space.start("python3", "-c", program)
        try server.waitFor("listening")
        let client = try space.start(
            Kernel.command, "connect", "--tun", "tcp0", "--address", "\(Namespace.ours4)/24", Namespace.kernels4,
            "9000",
            input: "/dev/zero")
        try server.waitFor("held")
        client.signal(signal)
        #expect(try client.wait(seconds: 20) == 128 + signal)
        #expect(try server.wait(seconds: 20) == 0)
        #expect(contents(of: server.output) == "reset\n")
    }
}
