import CLinux
import Glibc
import Testing

/// The kernel's TCP at one end, ours at the other, in a network namespace.
@Suite("Against the kernel's TCP", .serialized, .enabled(if: Kernel.isWanted, Kernel.comment))
struct KernelTests {
    static let offloads = ["on", "off"]

    @Test("curl fetches the bulk by IPv4 and by IPv6, hashes equal", arguments: offloads)
    func curlFetches(offload: String) throws {
        let space = try Namespace()
        let big = try space.scratch.fill("big.bin", bulkOctets)
        let serving = try space.serve(["--http", space.scratch.path, "--offload", offload])
        let expected = try hash(space.scratch, big)
        for host in [Namespace.ours4, "[\(Namespace.ours6)]"] {
            let got = space.scratch.unique("got")
            try space.run("curl", "-sS", "--fail", "--max-time", "100", "-o", got, "http://\(host)/big.bin")
            #expect(try hash(space.scratch, got) == expected)
        }
        try space.stop(serving)
    }

    @Test("200 fetches at once, each whole", arguments: offloads)
    func manyFetches(offload: String) throws {
        let space = try Namespace()
        let file = try space.scratch.fill("file.bin", 50_000)
        let serving = try space.serve(["--http", space.scratch.path, "--offload", offload])
        try space.run(
            "curl", "-sS", "--fail", "--max-time", "100", "--parallel", "--parallel-immediate", "--parallel-max", "200",
            "-o", "\(space.scratch.path)/got#1", "http://\(Namespace.ours4)/file.bin?[1-200]")
        let expected = octets(of: file)
        for index in 1...200 { #expect(octets(of: "\(space.scratch.path)/got\(index)") == expected, "fetch \(index)") }
        try space.stop(serving)
    }

    @Test("The bulk goes to discard, to the last octet", arguments: offloads)
    func discards(offload: String) throws {
        let space = try Namespace()
        let big = try space.scratch.fill("big.bin", bulkOctets)
        let serving = try space.serve(["--discard", "9", "--offload", offload])
        // nc ends well when the peer has closed, and discard closes when it has read the end.
        try space.run("nc", "-N", Namespace.ours4, "9", input: big)
        let left = try space.waitForConnections(serving) { $0.allSatisfy { $0.hasSuffix("TIME-WAIT") } }
        #expect(left.allSatisfy { $0.hasSuffix("TIME-WAIT") }, "\(left)")
        try space.stop(serving)
    }

    @Test("The bulk is echoed back equal", arguments: offloads)
    func echoes(offload: String) throws {
        let space = try Namespace()
        let big = try space.scratch.fill("big.bin", bulkOctets)
        let serving = try space.serve(["--echo", "7", "--offload", offload])
        for host in [Namespace.ours4, Namespace.ours6] {
            let got = space.scratch.unique("got")
            try space.run("nc", "-N", host, "7", input: big, output: got)
            #expect(try hash(space.scratch, got) == hash(space.scratch, big))
        }
        try space.stop(serving)
    }

    @Test("chargen sends its pattern until the peer has enough")
    func generates() throws {
        let space = try Namespace()
        let serving = try space.serve(["--chargen", "19"])
        try space.run("sh", "-c", "nc \(Namespace.ours4) 19 | head -c 300000 > \(space.scratch.path)/got")
        let lines = octets(of: space.scratch.file("got")).split(separator: 10)
        #expect(lines.count > 4000)
        for (index, line) in lines.dropLast().enumerated() {
            let expected = (0..<72).map { UInt8(0x20 + (index + $0) % 95) } + [13]
            #expect(Array(line) == expected, "line \(index)")
            if Array(line) != expected { break }
        }
        try space.stop(serving)
    }

    @Test("nc half-closes and still receives")
    func halfCloses() throws {
        let space = try Namespace()
        let file = try space.scratch.fill("file.bin", 1_000_000)
        let serving = try space.serve(["--http", space.scratch.path])
        let request = space.scratch.file("request")
        try space.run("sh", "-c", "printf 'GET /file.bin HTTP/1.0\\r\\n\\r\\n' > \(request)")
        let got = space.scratch.file("got")
        // nc sends its FIN with the request: the whole answer comes after it.
        try space.run("nc", "-N", Namespace.ours4, "80", input: request, output: got)
        #expect(Array(octets(of: got).suffix(1_000_000)) == octets(of: file))
        try space.stop(serving)
    }

    @Test("tcp connect fetches from a kernel server")
    func connects() throws {
        let space = try Namespace()
        let file = try space.scratch.fill("file.bin", bulkOctets / 4)
        let server = try space.start(
            "python3", "-u", "-m", "http.server", "8000", "--bind", "::", "--directory", space.scratch.path)
        try space.waitForPort(8000)
        let request = space.scratch.file("request")
        try space.run("sh", "-c", "printf 'GET /file.bin HTTP/1.0\\r\\n\\r\\n' > \(request)")
        for (ours, kernels) in [
            ("\(Namespace.ours4)/24", Namespace.kernels4), ("\(Namespace.ours6)/64", Namespace.kernels6),
        ] {
            let got = space.scratch.unique("got")
            try space.run(
                Kernel.command, "connect", "--tun", "tcp0", "--address", ours, kernels, "8000", input: request,
                output: got)
            #expect(Array(octets(of: got).suffix(bulkOctets / 4)) == octets(of: file))
        }
        server.end()
    }

    @Test("tcp connect sends its input to a kernel server, half-closes, and gets the answer", arguments: offloads)
    func connectsBothWays(offload: String) throws {
        let space = try Namespace()
        let there = try space.scratch.fill("there.bin", bulkOctets / 2)
        let back = try space.scratch.fill("back.bin", bulkOctets / 2)
        let received = space.scratch.file("received")
        // nc -l would not do: it drops what it has not sent yet when its peer half-closes.
        let server = try space.start("python3", "-c", KernelTests.bothWays, input: back, output: received)
        try server.waitFor("listening")
        let got = space.scratch.file("got")
        try space.run(
            Kernel.command, "connect", "--tun", "tcp0", "--address", "\(Namespace.ours4)/32", "--peer", "10.99.0.1",
            "--offload", offload, "10.99.0.1", "9000", input: there, output: got)
        #expect(try server.wait(seconds: 20) == 0)
        #expect(try hash(space.scratch, got) == hash(space.scratch, back))
        #expect(try hash(space.scratch, received) == hash(space.scratch, there))
    }

    @Test("tcp connect says in one sentence that a port refuses, or that the interface cannot be had")
    func connectFails() throws {
        let space = try Namespace()
        let refused = try space.start(
            Kernel.command, "connect", "--tun", "tcp0", "--address", "\(Namespace.ours4)/24", Namespace.kernels4, "81")
        #expect(try refused.wait(seconds: 20) == 1)
        #expect(
            contents(of: refused.errors)
                == "tcp: 10.77.0.3:81: The peer refused the connection: nothing listens on that port.\n")
        try space.run("ip", "link", "add", "tcp9", "type", "bridge")
        let taken = try space.start(
            Kernel.command, "connect", "--tun", "tcp9", "--address", "\(Namespace.ours4)/24", Namespace.kernels4, "81")
        #expect(try taken.wait(seconds: 20) == 1)
        #expect(contents(of: taken.errors).hasPrefix("tcp: tcp9 exists and is no TUN interface:"))
        #expect(contents(of: taken.errors).split(separator: "\n").count == 1)
        let usage = try space.start(
            Kernel.command, "connect", "--tun", "tcp0", "--address", "nonsense", "10.77.0.3", "81")
        #expect(try usage.wait(seconds: 20) == 64)
    }

    @Test("tcpdump finds no bad checksum, on the interface and in the command's own capture", arguments: offloads)
    func checksums(offload: String) throws {
        let space = try Namespace()
        try space.scratch.fill("file.bin", min(bulkOctets, 5_000_000))
        let capture = space.scratch.file("ours.pcap")
        let serving = try space.serve([
            "--http", space.scratch.path, "--echo", "7", "--offload", offload, "--pcap", capture,
        ])
        let watching = try space.start("tcpdump", "-i", "tcp0", "-w", space.scratch.file("kernels.pcap"))
        try watching.waitFor("listening on")
        for host in [Namespace.ours4, "[\(Namespace.ours6)]"] {
            try space.run("curl", "-sS", "--fail", "-o", "/dev/null", "http://\(host)/file.bin")
        }
        try space.run("python3", "-c", KernelTests.ping, Namespace.ours4)
        try space.run("python3", "-c", KernelTests.ping, Namespace.ours6)
        watching.signal(SIGINT)
        _ = try watching.wait(seconds: 20)
        try space.stop(serving)
        // With offload the kernel's taps see checksums that nobody has finished yet: only the command's capture counts.
        for file in offload == "off" ? ["ours.pcap", "kernels.pcap"] : ["ours.pcap"] {
            let text = try space.run("sh", "-c", "tcpdump -vv -n -r \(space.scratch.path)/\(file) 2>/dev/null")
            let lines = text.split(separator: "\n")
            #expect(lines.count { $0.contains("cksum") && $0.contains("correct") } > 100)
            let bad = lines.filter { $0.contains("incorrect") || $0.contains("bad cksum") || $0.contains("wrong") }
            #expect(bad.isEmpty, "\(file): \(bad.prefix(3))")
        }
    }

    /// Sends an ICMP or ICMPv6 echo request and expects its reply.
    private static let ping = """
        import socket, struct, sys
        six = ":" in sys.argv[1]
        s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) if six \
            else socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        s.settimeout(10)
        message = struct.pack("!BBHHH", 128 if six else 8, 0, 0, 7, 1) + b"echo" * 10
        if not six:
            total = sum(struct.unpack("!%dH" % (len(message) // 2), message))
            total = (total >> 16) + (total & 0xffff)
            message = message[:2] + struct.pack("!H", ~(total + (total >> 16)) & 0xffff) + message[4:]
        s.sendto(message, (sys.argv[1], 0))
        while True:
            answer = s.recv(4096)
            if not six: answer = answer[20:]
            if answer[0] == (129 if six else 0) and answer[4:] == message[4:]: break
        """

    /// Accepts one connection, sends standard input to it, and what it brings to standard output, each to its end.
    private static let bothWays = """
        import shutil, socket, sys, threading
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("", 9000))
        s.listen()
        print("listening", file=sys.stderr, flush=True)
        c, _ = s.accept()
        def send():
            with c.makefile("wb") as out: shutil.copyfileobj(sys.stdin.buffer, out, 1 << 16)
            c.shutdown(socket.SHUT_WR)
        sender = threading.Thread(target=send)
        sender.start()
        shutil.copyfileobj(c.makefile("rb"), sys.stdout.buffer, 1 << 16)
        sys.stdout.flush()
        sender.join()
        """
}
