import Glibc
import Testing

/// Our stack on a segment whose router leads, by a link that takes less, to another segment.
@Suite("Behind a router with a smaller link", .serialized, .enabled(if: Kernel.isWanted, Kernel.comment))
struct TAPPathTests {
    private static let far4 = "10.88.0.2"
    private static let far6 = "fd88::2"

    /// ours —1500— near —1300— middle —1500— far: neither end knows of the link between.
    private struct Path {
        let near: Namespace
        let middle: Namespace
        let far: Namespace

        init() throws {
            near = try Namespace()
            middle = try Namespace()
            far = try Namespace()
            try near.join(middle, "small", mtu: 1300, ["10.66.0.1/24", "fd66::1/64"], ["10.66.0.2/24", "fd66::2/64"])
            try middle.join(far, "wide", mtu: 1500, ["10.88.0.1/24", "fd88::1/64"], ["\(far4)/24", "\(far6)/64"])
            for router in [near, middle] { try router.forward() }
            for (space, way4, way6) in [
                (near, "10.66.0.2", "fd66::2"), (middle, "10.66.0.1", "fd66::1"), (far, "10.88.0.1", "fd88::1"),
            ] {
                try space.run("ip", "route", "add", "default", "via", way4)
                try space.run("ip", "-6", "route", "add", "default", "via", way6)
            }
        }

        /// Our command in the first namespace, with the kernel there as its router.
        func serve(_ options: [String]) throws -> Running {
            try near.serveTAP(["--gateway", Namespace.kernels4, "--gateway", Namespace.kernels6] + options)
        }
    }

    @Test("A fetch through the smaller link comes whole: its router's word is heeded", arguments: ["on", "off"])
    func fetches(offload: String) throws {
        let path = try Path()
        let file = try path.near.scratch.fill("file.bin", 1_000_000)
        let capture = path.near.scratch.file("ours.pcap")
        let serving = try path.serve([
            "--http", path.near.scratch.path, "--offload", offload, "--pcap", capture,
        ])
        for host in [Namespace.ours4, "[\(Namespace.ours6)]"] {
            let got = path.far.scratch.unique("got")
            try path.far.run(
                "curl", "-sS", "--fail", "--max-time", "20", "-o", got, "http://\(host)/file.bin")
            #expect(octets(of: got) == octets(of: file), "\(host)")
        }
        try path.near.stop(serving)
        let text = try path.near.run("sh", "-c", "tcpdump -n -r \(capture) icmp or icmp6 2>/dev/null")
        #expect(text.contains("need to frag (mtu 1300)"), "\(text)")
        #expect(text.contains("packet too big, mtu 1300"), "\(text)")
    }

    @Test("tracepath finds the way to us and its MTU", arguments: [Namespace.ours4, Namespace.ours6])
    func traces(host: String) throws {
        let path = try Path()
        let serving = try path.serve(["--echo", "7"])
        let text = try path.far.run("tracepath", "-n", host)
        #expect(text.contains("pmtu 1300"))
        #expect(text.contains("Resume: pmtu 1300 hops 3"), "\(text)")
        #expect(text.contains("reached"))
        try path.near.stop(serving)
    }
}
