import Synchronization
import TCPRuntime
import TCPStack
import TCPWire
import Testing

/// Hosts on an Ethernet segment in memory: no rights needed.
@Suite("Hosts on an Ethernet segment")
struct EthernetHostTests {
    private static let stations = (MACAddress("02:00:5e:10:00:01")!, MACAddress("02:00:5e:10:00:02")!)

    /// Addresses are used at once: nobody waits in these tests for what others may say.
    private static var quick: EthernetConfiguration {
        var configuration = EthernetConfiguration()
        configuration.autoconfigures = false
        configuration.conflictProbes = 0
        configuration.duplicateAddressProbes = 0
        return configuration
    }

    /// Runs `body` with two hosts on one segment, on one loop and one thread.
    private func withSegment(
        offload: Offload = .none, capacity: Int = 256, ethernet: EthernetConfiguration = quick,
        _ body: @escaping @Sendable (_ client: Host, _ server: Host) async throws -> Void
    ) throws {
        let loop = try EventLoop()
        let (left, right) = MemoryLink.pair(
            offload: offload, capacity: capacity, stations: EthernetHostTests.stations)
        try loop.run {
            let client = Host(
                device: left,
                addresses: [AddressPrefix(clientIPv4, length: 24), AddressPrefix(clientIPv6, length: 64)],
                ethernet: ethernet, loop: loop)
            let server = Host(
                device: right,
                addresses: [AddressPrefix(serverIPv4, length: 24), AddressPrefix(serverIPv6, length: 64)],
                ethernet: ethernet, loop: loop)
            try await limited(on: loop) { try await body(client, server) }
            await client.shutdown()
            await server.shutdown()
            // What the link held went back to the budget.
            for host in [client, server] { #expect(await host.memory.neighbors == 0) }
        }
    }

    @Test(
        "Streams go both ways, also over a segment that is often full",
        arguments: [Offload.none, .full], [2, 256])
    func streams(offload: Offload, capacity: Int) throws {
        try withSegment(offload: offload, capacity: capacity) { client, server in
            for ipv6 in [false, true] {
                let (near, far) = try await connected(client, server, port: ipv6 ? 8 : 7, ipv6: ipv6)
                let there = pattern(bulk / 4, seed: 1)
                let back = pattern(bulk / 4, seed: 2)
                async let heard = readAll(far)
                async let answered = readAll(near)
                async let written: Void = far.write(back)
                try await near.write(there)
                try await near.closeWrite()
                try await written
                try await far.closeWrite()
                #expect(try await heard == there)
                #expect(try await answered == back)
            }
            let neighbors = await client.neighbors
            #expect(neighbors.first { $0.address == serverIPv4 }?.hardware == EthernetHostTests.stations.1)
            #expect(neighbors.first { $0.address == serverIPv6 }?.hardware == EthernetHostTests.stations.1)
        }
    }

    @Test("An address that comes later is told, once it is settled; one taken away is gone")
    func addressesCome() throws {
        try withSegment { client, server in
            let before = try await client.addressesSettled()
            #expect(before.count { $0.origin == .manual && $0.state == .preferred } == 2)
            let another = AddressPrefix("10.0.0.77/24")!
            async let after = client.linkAddresses(after: before)
            await client.addAddress(another)
            #expect(try await after.contains { $0.prefix == another })
            let listener = try await client.listen(on: 9)
            async let accepted = listener.accept()
            let connection = try await server.connect(to: Endpoint(another.address, 9))
            #expect(try await accepted?.local.address == another.address)
            await connection.close()
            await client.removeAddress(another.address)
            #expect(await !client.linkAddresses.contains { $0.prefix == another })
        }
    }

    @Test("Of two hosts with one address the second does not use it, and says so")
    func duplicates() throws {
        let loop = try EventLoop()
        let (left, right) = MemoryLink.pair(stations: EthernetHostTests.stations)
        try loop.run {
            let first = Host(
                device: left, addresses: [AddressPrefix(clientIPv4, length: 24)], ethernet: EthernetHostTests.quick,
                loop: loop)
            var careful = EthernetHostTests.quick
            careful.conflictProbes = 1
            careful.conflictProbeWait = .zero
            careful.announceWait = .seconds(20)
            let second = Host(
                device: right, addresses: [AddressPrefix(clientIPv4, length: 24)], ethernet: careful, loop: loop)
            try await limited(on: loop) {
                let addresses = try await second.addressesSettled()
                #expect(addresses.map(\.state) == [.duplicated])
                #expect(await first.linkAddresses.map(\.state) == [.preferred])
                #expect(await second.ethernetCounters?.addressConflicts == 1)
            }
            await first.shutdown()
            await second.shutdown()
        }
    }

    @Test("Who waits for an address is woken when the host ends, or when the task is cancelled")
    func waitEnds() throws {
        try withSegment { client, server in
            let known = try await client.addressesSettled()
            let waiting = Task(executorPreference: client.loop) { try await client.linkAddresses(after: known) }
            let cancelled = Task(executorPreference: server.loop) {
                try await server.linkAddresses(after: server.addressesSettled())
            }
            try await client.loop.sleep(for: .milliseconds(5))
            cancelled.cancel()
            await #expect(throws: CancellationError.self) { try await cancelled.value }
            await client.shutdown()
            _ = try await waiting.value
        }
    }

    @Test("A frame that an observer sees has the checksum it will have", arguments: [Offload.none, .full])
    func observed(offload: Offload) throws {
        let loop = try EventLoop()
        let (left, right) = MemoryLink.pair(offload: offload, stations: EthernetHostTests.stations)
        let seen = Seen()
        try loop.run {
            let watched = ObservedDevice(left) { frame, _ in seen.note(frame) }
            #expect(watched.linkLayer == .ethernet(EthernetHostTests.stations.0))
            let client = Host(
                device: watched, addresses: [AddressPrefix(clientIPv4, length: 24)],
                ethernet: EthernetHostTests.quick, loop: loop)
            let server = Host(
                device: right, addresses: [AddressPrefix(serverIPv4, length: 24)],
                ethernet: EthernetHostTests.quick, loop: loop)
            try await limited(on: loop) {
                let (near, far) = try await connected(client, server)
                let sent = pattern(200_000)
                async let heard = readAll(far)
                try await near.write(sent)
                try await near.closeWrite()
                #expect(try await heard == sent)
            }
            await client.shutdown()
            await server.shutdown()
        }
        let counts = seen.counts.withLock { $0 }
        #expect(counts.arp >= 3)
        #expect(counts.tcp > 10)
        #expect(counts.wrong == 0)
    }

    /// What an observer saw.
    private final class Seen: Sendable {
        let counts = Mutex((arp: 0, tcp: 0, wrong: 0))

        func note(_ frame: RawSpan) {
            guard let header = try? EthernetHeader(parsing: frame) else { return }
            let isTCP = header.payload == .ipv4
            let isRight = !isTCP || packetHasRightChecksum(frame.extracting(14..<frame.byteCount))
            counts.withLock { counts in
                if header.payload == .arp { counts.arp += 1 }
                if isTCP { counts.tcp += 1 }
                if !isRight { counts.wrong += 1 }
            }
        }
    }
}
