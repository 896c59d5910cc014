import TCPEngine
import TCPStack
import TCPWire
import Testing

/// Whole transfers between two stacks over a path that drops what is larger than it takes, and says nothing.
@Suite("Transfers over a black hole")
struct BlackHoleTransferTests {
    /// What a transfer was like.
    final class Transfer {
        let hosts: JoinedHosts
        /// The largest packet that arrives.
        var hole = 1400
        /// Other packets that are lost.
        var isLostToo: (Int, Segment) -> Bool = { _, _ in false }
        private(set) var client: ConnectionID?
        private(set) var server: ConnectionID?
        private(set) var written = 0
        private(set) var arrived = 0
        private(set) var wrong = 0
        /// The octets of payload of each segment with data that arrived, in order.
        private(set) var sizes: [Int] = []
        private let block = (0..<65_536).map { Transfer.octet($0) }
        private var buffer = [UInt8](repeating: 0, count: 65_536)

        init(_ family: Family, _ change: (inout Configuration) -> Void = { _ in }) {
            var configuration = Configuration()
            change(&configuration)
            hosts = JoinedHosts(family, configuration)
            hosts.isLost = { [unowned self] number, segment in
                if segment.packet.count > hole || isLostToo(number, segment) { return true }
                if segment.length > 0 { sizes.append(segment.length) }
                return false
            }
        }

        /// 65,536 octets, again and again, none of which is like its neighbours in other blocks' places of a segment.
        static func octet(_ position: Int) -> UInt8 { UInt8(truncatingIfNeeded: position &* 31 &+ position >> 8 &* 7) }

        func open() throws {
            let listener = try hosts.server.stack.listen(on: 80, at: hosts.now)
            client = try hosts.client.stack.connect(to: Endpoint(hosts.serverAddress, 80), at: hosts.now)
            hosts.run(for: .seconds(1)) { (self.hosts.server.stack.counters.segmentsReceived) >= 2 }
            hosts.run(for: .milliseconds(100))
            server = hosts.server.accept(listener)
        }

        /// Sends `count` octets more, and reads them as they come.
        func send(_ count: Int, within limit: Duration) throws {
            let client = try #require(client)
            let server = try #require(server)
            let goal = written + count
            let end = hosts.now + limit
            while arrived < goal, hosts.now < end {
                while written < goal {
                    let start = written % block.count
                    let part = Array(block[start..<min(block.count, start + goal - written)])
                    let taken = try hosts.client.stack.write(client, part.span.bytes, at: hosts.now)
                    written += taken
                    if taken == 0 { break }
                }
                hosts.run(for: .milliseconds(20))
                try read(server)
            }
        }

        private func read(_ server: ConnectionID) throws {
            var buffer = self.buffer
            self.buffer = []
            defer { self.buffer = buffer }
            while true {
                var span = buffer.mutableSpan
                var bytes = span.mutableBytes
                guard case .bytes(let count) = try hosts.server.stack.read(server, into: &bytes, at: hosts.now),
                    count > 0
                else { break }
                var start = 0
                // Compared in stretches: octet by octet a debug build is slow.
                while start < count {
                    let from = (arrived + start) % block.count
                    let part = min(count - start, block.count - from)
                    if buffer[start..<start + part] != block[from..<from + part] { wrong += 1 }
                    start += part
                }
                arrived += count
            }
            hosts.server.settle()
        }

        var counters: Counters { hosts.client.stack.counters }
        var segmentSize: Int { client.flatMap { hosts.client.stack.details(of: $0)?.segmentSize } ?? 0 }
    }

    /// Expects that all arrived and is right.
    private func expectAll(_ transfer: Transfer, _ count: Int, source: SourceLocation = #_sourceLocation) {
        #expect(transfer.arrived == count, "\(transfer.hosts.trace())", sourceLocation: source)
        #expect(transfer.wrong == 0, sourceLocation: source)
    }

    @Test(
        "A megabyte arrives over a path that takes 1400 octets and says nothing, and soon in large segments [6691-7]",
        arguments: Family.allCases, [PathProbing.blackHoles, .always])
    func megabyte(family: Family, probing: PathProbing) throws {
        let transfer = Transfer(family) { $0.pathProbing = probing }
        try transfer.open()
        if probing == .always {
            // On a link without a limit slow start is over before the loss of the first probe is.
            try transfer.send(100_000, within: .seconds(30))
            transfer.hosts.run(for: .seconds(1))
        }
        let before = transfer.arrived
        try transfer.send(1 << 20, within: .seconds(30))
        expectAll(transfer, before + (1 << 20))
        #expect(transfer.counters.blackHoles == (probing == .always ? 0 : 1))
        // The path takes 1360 or 1340 octets, 12 of them timestamps.
        let most = 1400 - family.fixedHeaders - 12
        #expect(transfer.segmentSize <= most && transfer.segmentSize > most - 32)
        // The second half of it in segments of 1300 octets and more, but for what was around a lost probe.
        let late = transfer.sizes.suffix(transfer.sizes.count / 2)
        #expect(
            late.filter { $0 >= 1300 }.count * 100 >= late.count * 90,
            "\(late.filter { $0 < 1300 }.count) of \(late.count)")
    }

    @Test("With probing off the same path carries nothing [6691-7]")
    func off() throws {
        let transfer = Transfer(.ipv4) { $0.pathProbing = .off }
        try transfer.open()
        try transfer.send(10_000, within: .seconds(60))
        #expect(transfer.arrived == 0)
    }

    @Test("A hole that opens amid a transfer costs two timeouts [6691-7]", arguments: Family.allCases)
    func amid(family: Family) throws {
        let transfer = Transfer(family)
        transfer.hole = 1500
        try transfer.open()
        try transfer.send(200_000, within: .seconds(5))
        #expect(transfer.counters.blackHoles == 0)
        transfer.hole = 1400
        let before = transfer.hosts.now
        try transfer.send(300_000, within: .seconds(30))
        expectAll(transfer, 500_000)
        #expect(transfer.counters.blackHoles == 1)
        // 200 ms and 400 ms of timeouts, and the rest in slow start.
        #expect(transfer.hosts.now < before + .seconds(3))
    }

    @Test(
        "When the hole has gone, full segments come back after ten minutes [6691-6, 6691-7]", arguments: Family.allCases
    )
    func back(family: Family) throws {
        let transfer = Transfer(family)
        try transfer.open()
        // Until the search is over.
        for _ in 0..<20 {
            try transfer.send(20_000, within: .seconds(30))
            transfer.hosts.run(for: .seconds(1))
        }
        let top = family.topSize - 12
        #expect(transfer.segmentSize < top)
        let probes = transfer.counters.pathProbesSent
        transfer.hole = 1500
        transfer.hosts.run(for: .seconds(500))
        try transfer.send(50_000, within: .seconds(5))
        #expect(transfer.segmentSize < top)
        #expect(transfer.counters.pathProbesSent == probes)
        transfer.hosts.run(for: .seconds(120))
        try transfer.send(50_000, within: .seconds(5))
        #expect(transfer.segmentSize == top)
        expectAll(transfer, 500_000)
    }

    @Test(
        "After an outage, which looks the same, full segments are back within a second [6691-7]",
        arguments: Family.allCases)
    func outage(family: Family) throws {
        let transfer = Transfer(family)
        transfer.hole = 1500
        try transfer.open()
        try transfer.send(50_000, within: .seconds(5))
        let start = transfer.hosts.now
        // Two seconds without a packet.
        transfer.isLostToo = { _, _ in transfer.hosts.now < start + .seconds(2) }
        try transfer.send(50_000, within: .seconds(20))
        transfer.isLostToo = { _, _ in false }
        #expect(transfer.counters.blackHoles > 0)
        try transfer.send(100_000, within: .seconds(1))
        expectAll(transfer, 200_000)
        #expect(transfer.segmentSize == family.topSize - 12)
    }

    @Test("A path of 600 octets is found by two steps down [6691-7]")
    func narrow() throws {
        let transfer = Transfer(.ipv4)
        transfer.hole = 600
        try transfer.open()
        try transfer.send(100_000, within: .seconds(60))
        expectAll(transfer, 100_000)
        #expect(transfer.counters.blackHoles == 2)
        #expect(transfer.segmentSize <= 548 && transfer.segmentSize >= 500)
    }

    @Test(
        "Loss besides the hole is not taken for it: the size is found all the same [6691-7]",
        arguments: Family.allCases, 1...4)
    func lossToo(family: Family, seed: Int) throws {
        let transfer = Transfer(family)
        var state = UInt64(seed) &* 0x9E37_79B9_7F4A_7C15
        // One packet of fifty.
        transfer.isLostToo = { _, _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return state >> 33 % 50 == 0
        }
        try transfer.open()
        try transfer.send(300_000, within: .seconds(200))
        expectAll(transfer, 300_000)
        #expect(transfer.segmentSize <= 1400 - family.fixedHeaders - 12)
        #expect(transfer.segmentSize >= 1000)
    }

    @Test("Without SACK and timestamps it is the same [6691-7]", arguments: Family.allCases)
    func plain(family: Family) throws {
        let transfer = Transfer(family) {
            $0.selectiveAcknowledgment = false
            $0.timestamps = false
        }
        try transfer.open()
        try transfer.send(600_000, within: .seconds(30))
        expectAll(transfer, 600_000)
        let most = 1400 - family.fixedHeaders
        #expect(transfer.segmentSize <= most && transfer.segmentSize > most - 32)
    }
}
