import TCPEngine
import TCPSockets
import TCPWire
import Testing

@Suite("getsockopt, setsockopt, and what they change on the wire")
struct OptionTests {
    /// The SYN a kernel sends, or any packet it sent last.
    private func header(_ kernel: VirtualKernel) throws -> (ip: IPHeader, tcp: TCPHeader) {
        let packet = try #require(kernel.nextPacket())
        let ip = try IPHeader(parsing: packet.octets.span.bytes)
        return (ip, try TCPHeader(parsing: Array(packet.octets[ip.headerLength...]).span.bytes))
    }

    private func connect(_ kernel: VirtualKernel, _ socket: Int32) throws {
        try kernel.now(.fcntl(socket, command: Linux.F_SETFL, argument: Linux.O_NONBLOCK))
        #expect(try kernel.now(.connect(socket, SocketAddress(Wire.far, port: 80))).errno == .EINPROGRESS)
    }

    @Test("What is set is what is got")
    func numbers() throws {
        let kernel = Wire().a
        let socket = try kernel.socket()
        let options: [(Int32, Int32, Int32)] = [
            (Linux.SOL_SOCKET, Linux.SO_REUSEADDR, 1), (Linux.SOL_SOCKET, Linux.SO_KEEPALIVE, 1),
            (Linux.SOL_SOCKET, Linux.SO_PRIORITY, 5), (Linux.SOL_SOCKET, Linux.SO_RCVLOWAT, 9),
            (Linux.IPPROTO_TCP, Linux.TCP_NODELAY, 1), (Linux.IPPROTO_TCP, Linux.TCP_CORK, 1),
            (Linux.IPPROTO_TCP, Linux.TCP_MAXSEG, 700), (Linux.IPPROTO_TCP, Linux.TCP_USER_TIMEOUT, 1234),
            (Linux.IPPROTO_TCP, Linux.TCP_NOTSENT_LOWAT, 77), (Linux.IPPROTO_TCP, Linux.TCP_SYNCNT, 3),
            (Linux.IPPROTO_TCP, Linux.TCP_DEFER_ACCEPT, 4), (Linux.IPPROTO_TCP, Linux.TCP_WINDOW_CLAMP, 5000),
            (Linux.IPPROTO_TCP, Linux.TCP_FASTOPEN, 5), (Linux.IPPROTO_TCP, Linux.TCP_FASTOPEN_CONNECT, 1),
            (Linux.IPPROTO_TCP, Linux.TCP_INQ, 1), (Linux.IPPROTO_TCP, Linux.TCP_QUICKACK, 1),
            (Linux.IPPROTO_IP, Linux.IP_TOS, 0x28), (Linux.IPPROTO_IP, Linux.IP_TTL, 9),
        ]
        for (level, name, value) in options {
            #expect(try kernel.set(socket, level, name, value) == .none)
            #expect(try kernel.get(socket, level, name) == value)
        }
        #expect(try kernel.get(socket, Linux.SOL_SOCKET, Linux.SO_TYPE) == Linux.SOCK_STREAM)
        #expect(try kernel.get(socket, Linux.SOL_SOCKET, Linux.SO_DOMAIN) == Linux.AF_INET)
        #expect(try kernel.get(socket, Linux.SOL_SOCKET, Linux.SO_PROTOCOL) == Linux.IPPROTO_TCP)
    }

    @Test("What cannot be set, or has no such value, has its error")
    func errors() throws {
        let kernel = Wire().a
        let socket = try kernel.socket()
        #expect(try kernel.set(socket, Linux.SOL_SOCKET, Linux.SO_ERROR, 1) == .ENOPROTOOPT)
        #expect(try kernel.set(socket, Linux.SOL_SOCKET, 999, 1) == .ENOPROTOOPT)
        #expect(try kernel.set(socket, Linux.IPPROTO_TCP, Linux.TCP_FASTOPEN, -1) == .EINVAL)
        #expect(try kernel.set(socket, Linux.IPPROTO_TCP, Linux.TCP_FASTOPEN_CONNECT, 2) == .EINVAL)
        #expect(try kernel.set(socket, Linux.IPPROTO_TCP, Linux.TCP_MAXSEG, 20) == .EINVAL)
        #expect(try kernel.set(socket, Linux.IPPROTO_TCP, Linux.TCP_KEEPCNT, 200) == .EINVAL)
        #expect(try kernel.set(socket, Linux.IPPROTO_IP, Linux.IP_TTL, 256) == .EINVAL)
        #expect(try kernel.set(socket, Linux.IPPROTO_IPV6, Linux.IPV6_V6ONLY, 1) == .ENOPROTOOPT)
        #expect(try kernel.now(.setsockopt(socket, level: 1, name: 2, value: [1])).errno == .EINVAL)
        #expect(try kernel.now(.getsockopt(socket, level: 6, name: Linux.TCP_MD5SIG, length: 4)).errno == .ENOPROTOOPT)
        #expect(try kernel.now(.getsockopt(socket, level: 1, name: Linux.SO_TYPE, length: -1)).errno == .EINVAL)
        #expect(try kernel.now(.getsockopt(socket, level: 1, name: Linux.SO_TYPE, length: 2)).option == [1, 0])
        for (name, errno) in [("reno", Errno.none), ("cubic", .none), ("bbr", .none), ("vegas", .ENOENT)] {
            let result = try kernel.now(
                .setsockopt(socket, level: 6, name: Linux.TCP_CONGESTION, value: text(name)))
            #expect(result.errno == errno)
        }
    }

    @Test("TCP_MAXSEG and SO_RCVBUF are what the SYN announces; a window clamp too")
    func segmentSize() throws {
        let kernel = Wire().a
        let socket = try kernel.socket()
        #expect(try kernel.get(socket, Linux.IPPROTO_TCP, Linux.TCP_MAXSEG) == 536)
        #expect(try kernel.set(socket, Linux.IPPROTO_TCP, Linux.TCP_MAXSEG, 700) == .none)
        #expect(try kernel.set(socket, Linux.SOL_SOCKET, Linux.SO_RCVBUF, 10_000) == .none)
        #expect(try kernel.get(socket, Linux.SOL_SOCKET, Linux.SO_RCVBUF) == 20_000)
        try connect(kernel, socket)
        let syn = try header(kernel).tcp
        #expect(syn.options.maximumSegmentSize == 700)
        #expect(syn.window == 10_000)
        #expect(syn.options.windowScale == 0)
        let clamped = try kernel.socket()
        #expect(try kernel.set(clamped, Linux.IPPROTO_TCP, Linux.TCP_WINDOW_CLAMP, 4000) == .none)
        try connect(kernel, clamped)
        #expect(try header(kernel).tcp.window == 4000)
    }

    @Test("A listener's SO_RCVBUF is the window of its SYN-ACK and of the connections it gives")
    func listenerBuffer() throws {
        let link = try Link(prepare: { (wire: Wire, _: Int32, listener: Int32) throws -> Void in
            #expect(try wire.b.set(listener, Linux.SOL_SOCKET, Linux.SO_RCVBUF, 10_000) == .none)
            #expect(try wire.b.set(listener, Linux.IPPROTO_TCP, Linux.TCP_MAXSEG, 1000) == .none)
        })
        #expect(link.wire.a.information(of: link.client)?.sendWindow == 10_000)
        #expect(try link.wire.a.get(link.client, Linux.IPPROTO_TCP, Linux.TCP_MAXSEG) == 988)
        let writing = link.wire.a.submit(.write(link.client, [UInt8](repeating: 1, count: 20_000)))
        link.wire.run(.seconds(1))
        #expect(link.wire.a.result(of: writing)?.value == 20_000)
        #expect(try link.wire.b.now(.ioctl(link.server, request: Linux.SIOCINQ)).integer == 10_000)
    }

    @Test("The configured window scale and initial window are what goes out")
    func figures() throws {
        let link = try Link(settings: {
            $0.windowScale = 9
            $0.initialWindow = 3
        })
        #expect(link.wire.a.information(of: link.client)?.receiveWindowScale == 9)
        #expect(try link.wire.a.now(.write(link.client, [UInt8](repeating: 1, count: 10_000))).value == 10_000)
        let info = try #require(link.wire.a.information(of: link.client))
        #expect(info.congestionWindow == 3)
        #expect(info.unacknowledged == 3)
        #expect(info.notSent == 10_000 - 3 * 1448)
    }

    @Test("IP_TOS and IP_TTL are what packets carry; the ECN bits are not a program's")
    func network() throws {
        let kernel = Wire().a
        let socket = try kernel.socket()
        #expect(try kernel.set(socket, Linux.IPPROTO_IP, Linux.IP_TOS, 0x2B) == .none)
        #expect(try kernel.set(socket, Linux.IPPROTO_IP, Linux.IP_TTL, 7) == .none)
        try connect(kernel, socket)
        let ip = try header(kernel).ip
        #expect(ip.trafficClass == 0x28)
        #expect(ip.hopLimit == 7)
    }

    @Test("What a listener has chosen its connections have as well")
    func inherited() throws {
        let link = try Link(prepare: { (wire: Wire, _: Int32, listener: Int32) throws -> Void in
            #expect(try wire.b.set(listener, Linux.IPPROTO_TCP, Linux.TCP_NODELAY, 1) == .none)
            #expect(try wire.b.set(listener, Linux.IPPROTO_TCP, Linux.TCP_KEEPIDLE, 44) == .none)
        })
        #expect(try link.wire.b.get(link.server, Linux.IPPROTO_TCP, Linux.TCP_NODELAY) == 1)
        #expect(try link.wire.b.get(link.server, Linux.IPPROTO_TCP, Linux.TCP_KEEPIDLE) == 44)
    }

    /// How long the acknowledgment of a lone small segment takes to leave.
    private func acknowledgmentDelay(_ link: Link) throws -> Duration {
        let kernel = link.wire.b
        #expect(try link.wire.a.set(link.client, Linux.IPPROTO_TCP, Linux.TCP_NODELAY, 1) == .none)
        #expect(try link.wire.a.now(.write(link.client, text("x"))).value == 1)
        kernel.inject(try #require(link.wire.a.nextPacket()).octets)
        let start = kernel.now
        while !kernel.hasPackets, let deadline = kernel.nextDeadline, deadline < start + .seconds(1) {
            kernel.advance(to: deadline)
        }
        let answer = try #require(kernel.nextPacket())
        link.wire.a.inject(answer.octets)
        return answer.time - start
    }

    @Test("Acknowledgments wait as the RFC says, or go at once at first as Linux sends them, or as TCP_QUICKACK says")
    func quickAcknowledgments() throws {
        #expect(try acknowledgmentDelay(Link()) >= .milliseconds(39))
        let linux = try Link(settings: { $0.acknowledgmentPolicy = .linux })
        #expect(try linux.wire.b.get(linux.server, Linux.IPPROTO_TCP, Linux.TCP_QUICKACK) == 1)
        #expect(try acknowledgmentDelay(linux) == .zero)
        let off = try Link(settings: { $0.acknowledgmentPolicy = .linux })
        #expect(try off.wire.b.set(off.server, Linux.IPPROTO_TCP, Linux.TCP_QUICKACK, 0) == .none)
        #expect(try acknowledgmentDelay(off) >= .milliseconds(39))
        let on = try Link()
        #expect(try on.wire.b.set(on.server, Linux.IPPROTO_TCP, Linux.TCP_QUICKACK, 1) == .none)
        #expect(try acknowledgmentDelay(on) == .zero)
    }

    @Test("Linux's quick acknowledgments are sixteen, and end when the program answers")
    func quickEnds() throws {
        let link = try Link(settings: { $0.acknowledgmentPolicy = .linux })
        for _ in 0..<16 { #expect(try acknowledgmentDelay(link) == .zero) }
        #expect(try acknowledgmentDelay(link) >= .milliseconds(39))
        let other = try Link(settings: { $0.acknowledgmentPolicy = .linux })
        #expect(try acknowledgmentDelay(other) == .zero)
        #expect(try other.wire.b.now(.read(other.server, count: 9)).value == 1)
        #expect(try other.wire.b.now(.write(other.server, text("answer"))).value == 6)
    }

    @Test("TCP_INFO follows a transfer")
    func information() throws {
        // A peer that delays its acknowledgment by more than a round trip would be asked for it.
        let link = try Link(settings: { $0.tailLossProbes = false })
        let kernel = link.wire.a
        #expect(try kernel.now(.write(link.client, [UInt8](repeating: 1, count: 5000))).value == 5000)
        link.wire.run(.milliseconds(500))
        let info = try #require(kernel.information(of: link.client))
        #expect(info.state == UInt8(Linux.TCP_ESTABLISHED))
        #expect(info.options == 7)
        #expect(info.octetsAcknowledged == 5000)
        #expect(info.dataSegmentsSent == 4)
        #expect(info.octetsSent == 5000)
        #expect(info.totalRetransmitted == 0)
        #expect(info.unacknowledged == 0)
        #expect(info.sendSegmentSize == 1448)
        #expect(info.smoothedRTT >= 20_000)
        #expect(info.lastDataSent == 500)
        #expect(info.leastRTT >= 20_000 && info.leastRTT <= info.smoothedRTT)
        #expect(info.deliveryRate > 0)
        #expect(info.delivered == 4)
        #expect(info.pacingRate == .max && info.maximumPacingRate == .max)
        #expect(info.octetsRetransmitted == 0 && info.reorderingSeen == 0 && info.duplicateReports == 0)
        let other = try #require(link.wire.b.information(of: link.server))
        #expect(other.octetsReceived == 5000)
        #expect(other.dataSegmentsReceived == 4)
        let listening = try #require(link.wire.b.information(of: link.listener))
        #expect(listening.state == UInt8(Linux.TCP_LISTEN))
        link.wire.losesFromA = true
        #expect(try kernel.now(.write(link.client, [UInt8](repeating: 1, count: 100))).value == 100)
        link.wire.run(.seconds(1))
        let lost = try #require(kernel.information(of: link.client))
        #expect(lost.congestionState == UInt8(Linux.TCP_CA_Loss))
        #expect(lost.congestionWindow == 1)
        #expect(lost.unacknowledged == 1)
        #expect(lost.totalRetransmitted > 0)
        #expect(lost.retransmits > 0)
        #expect(lost.octetsRetransmitted == 100 * UInt64(lost.totalRetransmitted))
        #expect(lost.timeouts > 0)
    }

    @Test("TCP_CONGESTION chooses before and after the connection is there; the name that is got is Linux's")
    func congestion() throws {
        func name(_ kernel: VirtualKernel, _ socket: Int32, _ length: Int = 16) throws -> [UInt8] {
            try kernel.now(.getsockopt(socket, level: 6, name: Linux.TCP_CONGESTION, length: length)).option
        }
        func choose(_ kernel: VirtualKernel, _ socket: Int32, _ name: String) throws {
            let result = try kernel.now(
                .setsockopt(socket, level: 6, name: Linux.TCP_CONGESTION, value: text(name)))
            #expect(result.errno == .none)
        }
        let link = try Link(
            prepare: { wire, client, _ in try choose(wire.a, client, "cubic") },
            settings: { $0.congestionControl = .bbr })
        let kernel = link.wire.a
        #expect(try name(kernel, link.client) == text("cubic") + [UInt8](repeating: 0, count: 11))
        #expect(try name(kernel, link.client, 3) == text("cub"))
        #expect(try name(link.wire.b, link.server).starts(with: text("bbr")))
        // BBR paces, the others do not unless the kernel is told to.
        for (end, socket) in [(kernel, link.client), (link.wire.b, link.server)] {
            #expect(try end.now(.write(socket, text("octets"))).value == 6)
        }
        #expect(kernel.information(of: link.client)?.pacingRate == .max)
        #expect((link.wire.b.information(of: link.server)?.pacingRate ?? .max) < .max)
        try choose(kernel, link.client, "bbr")
        #expect((kernel.information(of: link.client)?.pacingRate ?? .max) < .max)
        try choose(kernel, link.client, "newreno")
        #expect(try name(kernel, link.client).starts(with: text("reno")))
        #expect(kernel.information(of: link.client)?.pacingRate == .max)
    }

    @Test("SO_MAX_PACING_RATE holds a sender to so many octets a second")
    func pacing() throws {
        let link = try Link()
        let kernel = link.wire.a
        #expect(try kernel.get(link.client, Linux.SOL_SOCKET, Linux.SO_MAX_PACING_RATE) == -1)
        #expect(try kernel.set(link.client, Linux.SOL_SOCKET, Linux.SO_MAX_PACING_RATE, 20_000) == .none)
        #expect(try kernel.get(link.client, Linux.SOL_SOCKET, Linux.SO_MAX_PACING_RATE) == 20_000)
        #expect(try kernel.now(.write(link.client, [UInt8](repeating: 1, count: 60_000))).value == 60_000)
        link.wire.run(.seconds(1))
        let info = try #require(kernel.information(of: link.client))
        #expect(info.maximumPacingRate == 20_000 && info.pacingRate == 20_000)
        // An initial window at once, and what the second allows.
        #expect(info.octetsSent > 15_000 && info.octetsSent < 40_000)
        #expect(try kernel.set(link.client, Linux.SOL_SOCKET, Linux.SO_MAX_PACING_RATE, -1) == .none)
        link.wire.run(.seconds(1))
        #expect(kernel.information(of: link.client)?.octetsAcknowledged == 60_000)
    }
}
