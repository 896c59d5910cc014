import Glibc
import TCPWire
import Testing

/// The kernel on one Ethernet segment with our stack.
@Suite("On an Ethernet segment with the kernel", .serialized, .enabled(if: Kernel.isWanted, Kernel.comment))
struct TAPKernelTests {
    @Test("The kernel finds us by ARP and neighbor discovery, and we find it; both families answer pings [826-2]")
    func neighbors() throws {
        let space = try Namespace()
        let serving = try space.serveTAP(["--echo", "7", "--json"])
        for host in [Namespace.ours4, Namespace.ours6] {
            try space.run("ping", "-c", "3", "-i", "0.05", "-W", "5", host)
            let entry = try space.run("ip", "neigh", "show", "to", host, "dev", "tcp0")
            #expect(entry.hasPrefix("\(host) lladdr \(Namespace.station) "))
            #expect(["REACHABLE", "STALE", "DELAY"].contains { entry.contains($0) }, "\(entry)")
        }
        _ = try space.connections(of: serving)
        try serving.waitFor("neighbor \(Namespace.kernels6) is at")
        #expect(contents(of: serving.errors).contains("  neighbor \(Namespace.kernels4) is at "))
        try space.stop(serving)
        let program = """
            import json, sys
            for line in open(sys.argv[1]):
                event = json.loads(line)
                if event["event"] == "status":
                    known = [each for each in event["neighbors"] if each["mac"] and each["state"]]
                    print(sorted(each["address"] for each in known))
            """
        let known = try space.run("python3", "-c", program, serving.output)
        #expect(known.hasPrefix("['\(Namespace.kernels4)', '\(Namespace.kernels6)'"), "\(known)")
        #expect(!(try space.run("ip", "link")).contains("tcp0"))
    }

    @Test("Pings of 60,000 octets come back whole: fragments both ways", arguments: [Namespace.ours4, Namespace.ours6])
    func largePings(host: String) throws {
        let space = try Namespace()
        let serving = try space.serveTAP(["--echo", "7"])
        let text = try space.run("ping", "-c", "5", "-i", "0.1", "-W", "5", "-s", "60000", host)
        #expect(text.contains("5 received, 0% packet loss"), "\(text)")
        #expect(!text.contains("wrong data"))
        try space.stop(serving)
    }

    #if DEBUG
        private static let echoed = 3_000_000
    #else
        private static let echoed = 16 << 20
    #endif

    @Test("16 MiB are echoed back equal by both families", arguments: ["on", "off"])
    func echoes(offload: String) throws {
        let space = try Namespace()
        let big = try space.scratch.fill("big.bin", TAPKernelTests.echoed)
        let serving = try space.serveTAP(["--echo", "7", "--offload", offload])
        for host in [Namespace.ours4, Namespace.ours6] {
            let got = space.scratch.unique("got")
            try space.run("nc", "-N", host, "7", input: big, output: got)
            #expect(try hash(space.scratch, got) == hash(space.scratch, big))
        }
        try space.stop(serving)
    }

    @Test("curl fetches by the link-local address that we gave ourselves [4862-1]")
    func linkLocal() throws {
        let space = try Namespace()
        let file = try space.scratch.fill("file.bin", 300_000)
        let serving = try space.serveTAP(["--http", space.scratch.path, "--autoconfigure"], addresses: [])
        let lines = contents(of: serving.errors).split(separator: "\n")
        let prefix = "  http: curl http://[fe80::"
        let line = try #require(lines.first { $0.hasPrefix(prefix) }, "\(lines)")
        let url = String(line.dropFirst("  http: curl ".count))
        #expect(url.hasSuffix("%25tcp0]/"))
        try space.waitForKernelAddresses()
        let got = space.scratch.file("got")
        try space.run("curl", "-sS", "--fail", "--max-time", "20", "-o", got, "-g", url + "file.bin")
        #expect(octets(of: got) == octets(of: file))
        try space.stop(serving)
    }

    @Test("A router's prefix gives us an address, its lifetime a route; not preferred, it is deprecated [4862-5]")
    func autoconfigures() throws {
        let space = try Namespace()
        let serving = try space.serveTAP(["--echo", "7", "--autoconfigure", "--json"], addresses: [])
        try space.waitForKernelAddresses()
        try space.run("ip", "addr", "add", "2001:db8:7::1/64", "dev", "tcp0", "nodad")
        // Beyond the segment, so that only the router's way leads there.
        try space.run("ip", "addr", "add", "2001:db8:99::1/128", "dev", "lo", "nodad")
        var advertisement = RouterAdvertisement(lifetime: 1800, prefix: AddressPrefix("2001:db8:7::/64")!)
        try advertisement.send(in: space, interface: "tcp0")
        try serving.waitFor("  we are now 2001:db8:7:")
        let line = try #require(contents(of: serving.errors).split(separator: "\n").first { $0.contains("we are now") })
        let address = try #require(AddressPrefix(line.split(separator: " ")[3].dropLast())?.address)
        for from in ["2001:db8:7::1", "2001:db8:99::1"] {
            try space.run("ping", "-c", "2", "-i", "0.1", "-W", "5", "-I", from, "\(address)")
        }
        advertisement.preferredLifetime = 0
        try advertisement.send(in: space, interface: "tcp0")
        try serving.waitFor("  \(address)/64 is deprecated")
        // It is still ours (RFC 4862 §5.5.4).
        try space.run("ping", "-c", "1", "-W", "5", "\(address)")
        try space.stop(serving)
        let events = contents(of: serving.output)
        #expect(events.contains("{\"event\":\"address\",\"address\":\"\(address)/64\",\"state\":\"preferred\"}"))
        #expect(events.contains("{\"event\":\"address\",\"address\":\"\(address)/64\",\"state\":\"deprecated\"}"))
        #expect(
            events.hasPrefix(
                "{\"event\":\"serving\",\"tap\":\"tcp0\",\"mac\":\"\(Namespace.station)\",\"addresses\":[\"fe80:"))
    }

    @Test(
        "An address that the kernel has is not used, and the command says so [5227-2, 4862-4]",
        arguments: [Namespace.ours4, Namespace.ours6])
    func duplicates(address: String) throws {
        let space = try Namespace()
        try space.run("ip", "tuntap", "add", "mode", "tap", "name", "tcp0")
        let length = address.contains(":") ? 64 : 24
        let flags = address.contains(":") ? ["nodad"] : []
        try space.scratch.run(
            ["ip", "-n", space.name, "addr", "add", "\(address)/\(length)", "dev", "tcp0"] + flags)
        try space.run("ip", "link", "set", "tcp0", "up")
        let refused = try space.start(
            Kernel.command, "serve", "--tap", "tcp0", "--address", "\(address)/\(length)", "--echo", "7")
        #expect(try refused.wait(seconds: 30) == 1)
        #expect(
            contents(of: refused.errors)
                == "tcp: \(address) belongs to another host of the segment: choose another --address.\n")
        // It was there before, and stays.
        #expect(try space.run("ip", "link").contains("tcp0"))
    }

    @Test("tcp connect fetches from a kernel server by both families and by link-local addresses")
    func connects() throws {
        let space = try Namespace()
        let file = try space.scratch.fill("file.bin", bulkOctets / 4)
        let server = try space.start(
            "python3", "-u", "-m", "http.server", "8000", "--bind", "::", "--directory", space.scratch.path)
        try space.waitForPort(8000)
        let request = space.scratch.file("request")
        try space.run("sh", "-c", "printf 'GET /file.bin HTTP/1.0\\r\\n\\r\\n' > \(request)")
        func fetch(_ options: [String], from kernels: String) throws {
            let got = space.scratch.unique("got")
            try space.scratch.run(
                ["ip", "netns", "exec", space.name, Kernel.command, "connect", "--tap", "tcp0"] + options
                    + [kernels, "8000"], input: request, output: got)
            #expect(Array(octets(of: got).suffix(bulkOctets / 4)) == octets(of: file), "\(kernels)")
        }
        try fetch(["--address", "\(Namespace.ours4)/24"], from: Namespace.kernels4)
        try fetch(["--address", "\(Namespace.ours6)/64"], from: Namespace.kernels6)
        // With a prefix that holds nobody else there is a way to the peer all the same.
        try fetch(["--address", "\(Namespace.ours4)/32", "--peer", "10.99.0.1"], from: "10.99.0.1")
        try space.run("ip", "tuntap", "add", "mode", "tap", "name", "tcp0")
        try space.run("ip", "addr", "add", "fe80::77/64", "dev", "tcp0", "nodad")
        try space.run("ip", "link", "set", "tcp0", "up")
        for name in ["fe80::77", "fe80::77%tcp0"] { try fetch(["--autoconfigure"], from: name) }
        server.end()
    }

    @Test("A neighbor that does not answer is asked for in vain")
    func nobody() throws {
        let space = try Namespace()
        let running = try space.start(
            Kernel.command, "connect", "--tap", "tcp0", "--address", "\(Namespace.ours4)/24", "--trace", "10.77.0.99",
            "8000")
        try running.waitFor("ARP who has 10.77.0.99? tell 10.77.0.2")
        running.signal(SIGINT)
        #expect(try running.wait(seconds: 20) == 130)
    }

    @Test("A capture of a TAP interface holds whole frames, and their checksums are right", arguments: ["on", "off"])
    func captures(offload: String) throws {
        let space = try Namespace()
        try space.scratch.fill("file.bin", 500_000)
        let capture = space.scratch.file("ours.pcap")
        let serving = try space.serveTAP([
            "--http", space.scratch.path, "--offload", offload, "--pcap", capture, "--trace",
        ])
        for host in [Namespace.ours4, "[\(Namespace.ours6)]"] {
            try space.run("curl", "-sS", "--fail", "-o", "/dev/null", "http://\(host)/file.bin")
        }
        for host in [Namespace.ours4, Namespace.ours6] {
            try space.run("sh", "-c", "printf datagram | nc -u -w 1 \(host) 9")
        }
        try space.stop(serving)
        let text = try space.run("sh", "-c", "tcpdump -e -vv -n -r \(capture) 2>/dev/null")
        #expect(text.contains("\(Namespace.station) > ff:ff:ff:ff:ff:ff, ethertype ARP"))
        #expect(text.contains("ethertype IPv6"))
        // What ICMP errors quote is as it came, unfinished.
        let segments = try space.run("sh", "-c", "tcpdump -vv -n -r \(capture) tcp or udp 2>/dev/null")
        let lines = segments.split(separator: "\n")
        #expect(lines.count { $0.contains("cksum") && $0.contains("correct") } > 20)
        #expect(lines.count { $0.contains("[udp sum ok] UDP, length 8") } >= 2)
        let bad = lines.filter { line in
            ["incorrect", "bad cksum", "bad udp", "wrong"].contains { line.contains($0) }
        }
        #expect(bad.isEmpty, "\(bad.prefix(3))")
        let trace = contents(of: serving.errors)
        #expect(trace.contains("out ARP probe from \(Namespace.station): who has \(Namespace.ours4)?"))
        #expect(trace.contains("in  ARP who has \(Namespace.ours4)? tell \(Namespace.kernels4) at "))
        #expect(trace.contains("ICMPv6 neighbor solicitation: who has \(Namespace.ours6)? from "))
        #expect(trace.contains("\(Namespace.kernels4):"))
    }
}
