import CLinux
import Glibc
import Testing

/// Linux's ECN (RFC 3168) at the other end, and marks that the test puts on between the two.
@Suite("ECN with the kernel", .serialized, .enabled(if: Kernel.isWanted, Kernel.comment))
struct KernelECNTests {
    /// Both ends ask for ECN, and one packet in fifty of each direction is marked.
    private func space() throws -> Namespace {
        let space = try Namespace()
        try space.run("sysctl", "-qw", "net.ipv4.tcp_ecn=1")
        try space.run(
            "nft",
            """
            table ip marks {
                counter reduced { }
                counter echoed { }
                counter plain { }
                chain out {
                    type filter hook output priority 0
                    oifname "tcp0" ip ecn 2 numgen inc mod 50 0 ip ecn set 3
                }
                chain in {
                    type filter hook prerouting priority -300
                    iifname "tcp0" tcp flags & (syn | cwr) == cwr counter name reduced
                    iifname "tcp0" tcp flags & (syn | ecn) == ecn counter name echoed
                    iifname "tcp0" ip length 40 ip ecn != 0 counter name plain
                    iifname "tcp0" ip ecn 2 numgen inc mod 50 0 ip ecn set 3
                }
            }
            """)
        return space
    }

    private func count(_ name: String, _ space: Namespace) throws -> Int {
        let text = try space.run("nft", "list", "counter", "ip", "marks", name)
        let words = text.split(whereSeparator: \.isWhitespace)
        guard let index = words.firstIndex(of: "packets"), index + 1 < words.count else { return -1 }
        return Int(words[index + 1]) ?? -1
    }

    /// TCP_INFO: whether ECN was agreed on, and how many segments the peer said were marked.
    private let helper = """
        import socket, struct, sys
        def ecn(s):
            info = s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 232)
            return info[5] >> 3 & 1

        """

    @Test(
        "Both ways through marks: every octet arrives, and each end tells of marks and slows down [3168-1, 3168-3]"
    )
    func both() throws {
        let space = try space()
        let serving = try space.serve(["--echo", "7", "--ecn", "on"])
        let program =
            helper + """
                import threading, os
                s = socket.create_connection((sys.argv[1], 7))
                data = os.urandom(1 << 16) * 64
                def send():
                    s.sendall(data)
                    s.shutdown(socket.SHUT_WR)
                threading.Thread(target=send).start()
                got = bytearray()
                while True:
                    some = s.recv(1 << 16)
                    if not some: break
                    got += some
                print(ecn(s), got == data, flush=True)
                """
        let output = try space.run("python3", "-c", program, Namespace.ours4)
        #expect(output == "1 True\n")
        #expect(try count("echoed", space) > 0, "we told of no mark")
        #expect(try count("reduced", space) > 0, "we never slowed down")
        #expect(try count("plain", space) == 0, "an acknowledgment left as ECN-capable")
        try space.stop(serving)
    }

    @Test("We ask, and the kernel agrees [3168-1]")
    func asks() throws {
        let space = try space()
        let program =
            helper + """
                s = socket.socket()
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                s.bind(("0.0.0.0", 9000))
                s.listen(5)
                print("listening", file=sys.stderr, flush=True)
                c, _ = s.accept()
                count = 0
                while True:
                    some = c.recv(65536)
                    if not some: break
                    count += len(some)
                c.sendall(b"%d octets, ECN %d" % (count, ecn(c)))
                c.close()
                """
        let server = try space.start("python3", "-c", program)
        try server.waitFor("listening")
        let input = try space.scratch.fill("input.bin", 3_000_000)
        let got = space.scratch.file("got")
        try space.run(
            Kernel.command, "connect", "--tun", "tcp0", "--address", Namespace.ours4 + "/24", "--ecn", "on",
            Namespace.kernels4, "9000", input: input, output: got)
        #expect(contents(of: got) == "3000000 octets, ECN 1")
        #expect(try count("reduced", space) > 0, "we never slowed down")
        #expect(try server.wait(seconds: 20) == 0)
    }
}
