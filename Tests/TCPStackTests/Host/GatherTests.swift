import TCPEngine
import TCPStack
import TCPWire
import Testing

/// The path of a link that gathers a packet from its headers and the send queue.
@Suite("Packets that the link gathers")
struct GatherTests {
    /// Two hosts on links with offload: the client's congestion window is open, and it has much more than a packet to send.
    private final class Pair {
        var client: Stack
        var server: Stack
        var now = Instant(nanoseconds: 1_000_000_000)
        private var buffer = [UInt8](repeating: 0, count: 65_600)

        init(_ family: Family, checksumOffload: Bool) throws {
            var configuration = Configuration()
            configuration.superSegments = true
            configuration.checksumOffload = checksumOffload
            configuration.sendBuffer = 4 << 20
            configuration.unsentBuffer = 1 << 20
            client = Stack(configuration: configuration, secret: StackSecret(1, 2), at: now)
            server = Stack(configuration: configuration, secret: StackSecret(3, 4), at: now)
            client.addAddress(AddressPrefix(family.address(1), length: family.prefixLength))
            server.addAddress(AddressPrefix(family.address(2), length: family.prefixLength))
            let listener = try server.listen(on: 7, at: now)
            let connection = try client.connect(to: Endpoint(family.address(2), 7), at: now)
            for _ in 0..<3 { carry() }
            let waiting = server.accept(listener)
            let accepted = try #require(waiting)
            for _ in 0..<200 {
                try write(connection)
                carry()
                try drain(accepted)
                now = now + .milliseconds(1)
                client.advance(to: now)
                server.advance(to: now)
            }
            carryAcknowledgments()
            try write(connection)
        }

        private func write(_ id: ConnectionID) throws {
            let octets = [UInt8](repeating: 7, count: 1 << 20)
            _ = try client.write(id, octets.span.bytes, at: now)
        }

        private func drain(_ id: ConnectionID) throws {
            var span = buffer.mutableSpan
            var bytes = span.mutableBytes
            while case .bytes = try server.read(id, into: &bytes, at: now) {}
        }

        private func carry() {
            var span = buffer.mutableSpan
            var bytes = span.mutableBytes
            while let packet = client.transmit(into: &bytes, at: now) {
                var metadata = PacketMetadata()
                metadata.isChecksumTrusted = true
                metadata.segmentSize = packet.segmentSize
                server.receive(bytes.bytes.extracting(0..<packet.length), metadata: metadata, at: now)
            }
            carryAcknowledgments()
        }

        private func carryAcknowledgments() {
            var span = buffer.mutableSpan
            var bytes = span.mutableBytes
            var metadata = PacketMetadata()
            metadata.isChecksumTrusted = true
            while let packet = server.transmit(into: &bytes, at: now) {
                client.receive(bytes.bytes.extracting(0..<packet.length), metadata: metadata, at: now)
            }
        }
    }

    /// The lengths of the packets the client has for a link that gathers; checks of each that it is whole.
    private func gather(_ family: Family, checksumOffload: Bool, largest: Int) throws -> [Int] {
        let pair = try Pair(family, checksumOffload: checksumOffload)
        var buffer = [UInt8](repeating: 0, count: 65_600)
        var span = buffer.mutableSpan
        var bytes = span.mutableBytes
        var fragments = PayloadFragments()
        var lengths: [Int] = []
        while let packet = pair.client.transmit(
            headersInto: &bytes, payload: &fragments, largestPacket: largest, at: pair.now)
        {
            lengths.append(packet.length)
            let field = Int(bytes.bytes.unsafeLoadUnaligned(fromByteOffset: 2, as: UInt16.self).bigEndian)
            if packet.transportOffset == 20 { #expect(field == (packet.length > 65_535 ? 0 : packet.length)) }
            guard fragments.count > 0 else { continue }
            let gathered = (0..<fragments.count).reduce(packet.headerLength) { $0 + fragments[$1].count }
            #expect(gathered == packet.length)
        }
        return lengths
    }

    @Test("A link that takes more than 64 KiB gets it of IPv4, with a total length of zero; of IPv6 it does not")
    func largePackets() throws {
        let four = try gather(.ipv4, checksumOffload: true, largest: PayloadFragments.largestPacket)
        let largest = try #require(four.max())
        #expect(largest > 128 << 10 && largest <= PayloadFragments.largestPacket)
        let six = try #require(try gather(.ipv6, checksumOffload: true, largest: PayloadFragments.largestPacket).max())
        #expect(six > 60_000 && six <= 65_575)
    }

    @Test("A link that does not say so gets no packet of more than 64 KiB")
    func ordinaryPackets() throws {
        let largest = try #require(try gather(.ipv4, checksumOffload: true, largest: 65_535).max())
        #expect(largest > 60_000 && largest <= 65_535)
    }

    @Test("A link that leaves checksums to the stack gets packets whole, of at most 64 KiB")
    func copied() throws {
        let lengths = try gather(.ipv4, checksumOffload: false, largest: PayloadFragments.largestPacket)
        let largest = try #require(lengths.max())
        #expect(largest > 60_000 && largest <= 65_535)
    }
}
