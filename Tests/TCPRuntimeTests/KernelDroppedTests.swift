import Glibc
import Testing

/// The states that pass in a moment, held by a link that loses everything one way.
@Suite("When one end is killed on a link that loses", .serialized, .enabled(if: Kernel.isWanted, Kernel.comment))
struct KernelDroppedTests {
    /// A kernel client that holds what it has until it is ended.
    private static let client = """
        import socket, sys, time
        s = socket.socket(socket.AF_INET6 if ":" in sys.argv[2] else socket.AF_INET)
        print("started", file=sys.stderr, flush=True)
        s.connect((sys.argv[2], int(sys.argv[3])))
        print("open", file=sys.stderr, flush=True)
        if sys.argv[1] == "asks":
            time.sleep(0.3)
            s.sendall(b"HEAD / HTTP/1.0\\r\\n\\r\\n")
        time.sleep(60)
        """

    /// From here on nothing of ours reaches the kernel's TCP.
    private func lose(_ space: Namespace) throws {
        try space.run("nft", "add", "table", "inet", "loss")
        try space.run("nft", "add", "chain", "inet", "loss", "in", "{ type filter hook input priority 0; }")
        try space.run("nft", "add", "rule", "inet", "loss", "in", "iifname", "tcp0", "drop")
    }

    private func mend(_ space: Namespace) throws { try space.run("nft", "delete", "table", "inet", "loss") }

    private func waitForState(_ space: Namespace, _ serving: Running, _ state: String) throws {
        let held = try space.waitForConnections(serving) { $0.contains { $0.hasSuffix(state) } }
        #expect(held.contains { $0.hasSuffix(state) }, "\(state): \(held)")
    }

    private func waitForNothing(_ space: Namespace, _ serving: Running) throws {
        let left = try space.waitForConnections(serving) { $0.allSatisfy { $0.hasSuffix("TIME-WAIT") } }
        #expect(left.allSatisfy { $0.hasSuffix("TIME-WAIT") }, "\(left)")
    }

    @Test(
        "A kernel client killed in SYN-SENT resets what our SYN-RECEIVED sends it",
        arguments: [Namespace.ours4, Namespace.ours6])
    func synSent(host: String) throws {
        let space = try Namespace()
        let serving = try space.serve(["--echo", "7"])
        try lose(space)
        let client = try space.start("python3", "-c", KernelDroppedTests.client, "opens", host, "7")
        try client.waitFor("started")
        try waitForState(space, serving, "SYN-RECEIVED")
        client.end()
        try mend(space)
        try waitForNothing(space, serving)
        try space.stop(serving)
    }

    @Test(
        "A kernel client killed while we are in FIN-WAIT-1 brings us by CLOSING to TIME-WAIT",
        arguments: [Namespace.ours4, Namespace.ours6])
    func finWait1(host: String) throws {
        let space = try Namespace()
        let serving = try space.serve(["--http", space.scratch.path])
        let client = try space.start("python3", "-c", KernelDroppedTests.client, "asks", host, "80")
        try client.waitFor("open")
        try lose(space)
        try waitForState(space, serving, "FIN-WAIT-1")
        client.end()
        try waitForState(space, serving, "CLOSING")
        try mend(space)
        try waitForNothing(space, serving)
        try space.stop(serving)
    }

    /// A service of ours on an interface that outlives it.
    private func place() throws -> Namespace {
        let space = try Namespace()
        try space.run("ip", "tuntap", "add", "mode", "tun", "name", "tcp0")
        try space.run("ip", "addr", "add", "\(Namespace.kernels4)/24", "dev", "tcp0")
        try space.run("ip", "link", "set", "tcp0", "up")
        return space
    }

    @Test("The kernel's SYN opens a connection to the next, when ours was killed in SYN-RECEIVED")
    func oursInSynReceived() throws {
        let space = try place()
        let first = try space.serve(["--echo", "7"])
        try lose(space)
        let client = try space.start("python3", "-c", KernelDroppedTests.client, "opens", Namespace.ours4, "7")
        try client.waitFor("started")
        try waitForState(space, first, "SYN-RECEIVED")
        first.end()
        let second = try space.serve(["--echo", "7"])
        try mend(space)
        try client.waitFor("open")
        client.end()
        try space.stop(second)
    }

    @Test("The kernel's octets, sent again, are reset by the next, when ours was killed in FIN-WAIT-1")
    func oursInFinWait1() throws {
        let space = try place()
        let first = try space.serve(["--http", space.scratch.path])
        let client = try space.start("python3", "-c", KernelDroppedTests.client, "asks", Namespace.ours4, "80")
        try client.waitFor("open")
        try lose(space)
        try waitForState(space, first, "FIN-WAIT-1")
        first.end()
        let second = try space.serve(["--http", space.scratch.path])
        try mend(space)
        var left = "?"
        for _ in 0..<400 where !left.isEmpty {
            left = try space.run("ss", "-Htn", "dst", Namespace.ours4)
            usleep(50_000)
        }
        #expect(left.isEmpty, "\(left)")
        client.end()
        try space.stop(second)
    }
}
