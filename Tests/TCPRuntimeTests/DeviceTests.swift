import CLinux
import Synchronization
import TCPRuntime
import TCPStack
import TCPWire
import Testing

@Suite("Devices")
struct DeviceTests {
    @Test(
        "Without a peer the kernel gets the next host address, or the one before",
        arguments: [
            ("10.9.0.2/24", "10.9.0.3"), ("10.9.0.254/24", "10.9.0.253"), ("10.9.0.0/31", "10.9.0.1"),
            ("10.9.0.1/31", "10.9.0.0"), ("10.9.0.1/30", "10.9.0.2"), ("10.9.0.2/30", "10.9.0.1"),
            ("fd09::1/64", "fd09::2"), ("fd09::ffff:ffff:ffff:ffff/64", "fd09::ffff:ffff:ffff:fffe"),
            ("fd09::1/127", "fd09::"), ("fd09::2/126", "fd09::3"),
        ])
    func neighbour(address: String, kernel: String) throws {
        let link = try Interface.Link(stack: AddressPrefix(address)!)
        #expect(link.kernel == IPAddress(kernel))
        #expect(!link.isPointToPoint)
    }

    @Test("A whole-address prefix needs a peer", arguments: ["10.9.0.2", "10.9.0.2/32", "fd09::2/128"])
    func noNeighbour(address: String) throws {
        let prefix = AddressPrefix(address)!
        #expect(throws: DeviceError.noPeer(prefix.description)) { try Interface.Link(stack: prefix) }
    }

    @Test(
        "A peer must be another host of the same family",
        arguments: [
            ("10.9.0.2/24", "10.9.0.2"), ("10.9.0.2/24", "fd09::1"), ("fd09::1/64", "ff02::1"),
            ("10.9.0.2/24", "127.0.0.1"),
        ])
    func badPeer(address: String, peer: String) throws {
        #expect(throws: DeviceError.self) {
            try Interface.Link(stack: AddressPrefix(address)!, peer: IPAddress(peer)!)
        }
    }

    @Test("Interface names are checked before the kernel sees them")
    func names() {
        for good in ["tcp0", "a", "fifteen-octets-"] { #expect(Interface.isValidName(good)) }
        for bad in ["", ".", "..", "a/b", "a b", "a:1", "tcp%d", "sixteen-octets--", "a\u{7F}"] {
            #expect(!Interface.isValidName(bad))
        }
        #expect(throws: DeviceError.badName("a/b")) { try TUNDevice(name: "a/b") }
    }

    @Test("Every error of a device says what to do")
    func explanations() {
        let errors: [DeviceError] = [
            .noTUN, .notPermitted("open it"), .busy("x"), .badName("x"), .notTUN("x"), .notTAP("x"),
            .configuration("do", 17), .noPeer("x"), .invalid("No: do it otherwise."), .lost(19), .system("thread", 11),
        ]
        for error in errors {
            #expect(error.explanation.hasSuffix("."))
            #expect(error.explanation.contains(":"))
        }
    }

    @Test("The virtio header of a super-segment tells the kernel how to cut it")
    func virtioSuperSegment() {
        let octets = UnsafeMutableRawBufferPointer.allocate(byteCount: 16, alignment: 8)
        defer { octets.deallocate() }
        var packet = TransmittedPacket(
            length: 64_000, headerLength: 52, transportOffset: 20, segmentSize: 1448, isChecksumPartial: true)
        VirtioHeader.write(packet, isIPv4: true, to: octets)
        #expect(Array(octets.prefix(10)) == [1, 1, 52, 0, 0xA8, 5, 20, 0, 16, 0])
        packet.transportOffset = 40
        packet.headerLength = 72
        VirtioHeader.write(packet, isIPv4: false, to: octets)
        #expect(Array(octets.prefix(10)) == [1, 4, 72, 0, 0xA8, 5, 40, 0, 16, 0])
        let metadata = VirtioHeader.metadata(octets)
        #expect(metadata.isChecksumTrusted)
        #expect(metadata.segmentSize == 1448)
        // One segment's worth is not cut, and a finished checksum not finished again.
        packet.length = 72 + 1448
        packet.isChecksumPartial = false
        VirtioHeader.write(packet, isIPv4: false, to: octets)
        #expect(Array(octets.prefix(10)) == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
        #expect(!VirtioHeader.metadata(octets).isChecksumTrusted)
        #expect(VirtioHeader.metadata(octets).segmentSize == 0)
    }

    @Test("The virtio header of a super-segment in a frame counts from the frame's beginning")
    func virtioFrame() {
        let octets = UnsafeMutableRawBufferPointer.allocate(byteCount: 16, alignment: 8)
        defer { octets.deallocate() }
        let frame = TransmittedPacket(
            length: 64_014, headerLength: 66, transportOffset: 34, segmentSize: 1448, isChecksumPartial: true)
        VirtioHeader.write(frame, isIPv4: true, to: octets)
        #expect(Array(octets.prefix(10)) == [1, 1, 66, 0, 0xA8, 5, 34, 0, 16, 0])
    }

    @Test("An observer sees every packet once, with the checksum it will have", arguments: [Offload.none, .full])
    func observed(offload: Offload) throws {
        let loop = try EventLoop()
        let (left, right) = MemoryLink.pair(offload: offload, capacity: 4)
        let seen = Seen()
        try loop.run {
            let watched = ObservedDevice(left) { packet, direction in seen.note(packet, direction) }
            let client = Host(device: watched, addresses: [AddressPrefix(clientIPv4, length: 24)], loop: loop)
            let server = Host(device: right, addresses: [AddressPrefix(serverIPv4, length: 24)], loop: loop)
            try await limited(on: loop) {
                let (near, far) = try await connected(client, server)
                let sent = pattern(100_000)
                async let heard = readAll(far)
                try await near.write(sent)
                try await near.closeWrite()
                #expect(try await heard == sent)
            }
            let sent = await client.counters.packetsSent
            let received = await client.counters.packetsReceived
            #expect(seen.counts.withLock { $0.sent } == sent)
            #expect(seen.counts.withLock { $0.received } == received)
            await client.shutdown()
            await server.shutdown()
        }
        #expect(seen.counts.withLock { $0.wrong } == 0)
    }

    /// What an observer saw.
    private final class Seen: Sendable {
        let counts = Mutex((sent: UInt64(0), received: UInt64(0), wrong: 0))

        func note(_ packet: RawSpan, _ direction: PacketDirection) {
            let isRight = packetHasRightChecksum(packet)
            counts.withLock { counts in
                if direction == .sent { counts.sent += 1 } else { counts.received += 1 }
                if !isRight { counts.wrong += 1 }
            }
        }
    }

    @Test("A packet's line names ends, flags and numbers")
    func line() {
        let header = TCPHeader(
            sourcePort: 4000, destinationPort: 80, sequence: SequenceNumber(100), acknowledgment: SequenceNumber(7),
            flags: [.syn, .ack], window: 1000, options: options(mss: 1460))
        var bytes = [UInt8](repeating: 0, count: 44)
        do {
            var span = bytes.mutableSpan
            var packet = span.mutableBytes
            IPHeader(source: clientIPv4, destination: serverIPv4, protocolNumber: 6).write(
                to: &packet, payloadLength: 24)
            header.write(to: &packet, at: 20)
        }
        #expect(
            PacketLine.describe(bytes.span.bytes)
                == "10.0.0.1:4000 > 10.0.0.2:80 [SYN,ACK] seq 100 ack 7 win 1000 <mss 1460> length 0")
        #expect(PacketLine.describe(([0x45, 0] as [UInt8]).span.bytes).hasPrefix("2 octets: "))
    }

    @Test("A frame's line says what ARP and neighbor discovery say, and what is neither")
    func frameLine() {
        let station = MACAddress("02:00:5e:10:00:01")!
        func line(_ payload: EthernetHeader.Payload?, _ body: (inout MutableRawSpan) -> Int) -> String {
            var bytes = [UInt8](repeating: 0, count: 200)
            var span = bytes.mutableSpan
            var frame = span.mutableBytes
            EthernetHeader(destination: .broadcast, source: station, payload: payload ?? .ipv4).write(to: &frame)
            if payload == nil { frame.put16(0x88CC, at: 12) }
            let length = 14 + body(&frame)
            return PacketLine.describe(frame.bytes.extracting(0..<length), .ethernet(station))
        }
        func arp(_ operation: ARPPacket.Operation, _ sender: IPAddress, _ target: IPAddress) -> String {
            line(.arp) { frame in
                ARPPacket(operation, senderHardware: station, sender: sender, target: target).write(to: &frame, at: 14)
                return ARPPacket.length
            }
        }
        #expect(arp(.request, clientIPv4, serverIPv4) == "ARP who has 10.0.0.2? tell 10.0.0.1 at \(station)")
        #expect(arp(.reply, clientIPv4, serverIPv4) == "ARP 10.0.0.1 is at \(station)")
        #expect(arp(.request, IPAddress(ipv4: 0), serverIPv4) == "ARP probe from \(station): who has 10.0.0.2?")
        #expect(arp(.request, clientIPv4, clientIPv4) == "ARP announcement: 10.0.0.1 is at \(station)")
        #expect(line(.arp) { _ in 28 } == "ARP: malformed ARP")

        func discovery(_ message: NeighborMessage) -> String {
            line(.ipv6) { frame in
                message.write(to: &frame, at: 14)
                return message.encodedLength
            }
        }
        var message = NeighborMessage(
            .neighborSolicitation, source: clientIPv6, destination: serverIPv6.solicitedNode, target: serverIPv6)
        message.sourceLink = station
        #expect(
            discovery(message)
                == "fd00::1 > ff02::1:ff00:2 ICMPv6 neighbor solicitation: who has fd00::2? from \(station) length 32")
        message = NeighborMessage(
            .neighborAdvertisement, source: serverIPv6, destination: clientIPv6, target: serverIPv6)
        message.targetLink = station
        #expect(
            discovery(message)
                == "fd00::2 > fd00::1 ICMPv6 neighbor advertisement: fd00::2 is here at \(station) length 32")

        #expect(line(nil) { _ in 50 } == "\(station) > ff:ff:ff:ff:ff:ff type 0x88cc length 50")
        #expect(
            PacketLine.describe(([1, 2, 3] as [UInt8]).span.bytes, .ethernet(station)) == "3 octets: no whole frame")
    }

    @Test("A router's advertisement is told with its prefixes, lifetimes and MTU")
    func advertisementLine() {
        let router = IPAddress("fe80::1")!
        let advertisement = RouterAdvertisement(lifetime: 1800, prefix: AddressPrefix("fd99::/64"), mtu: 1400)
        let message = advertisement.message
        var bytes = [UInt8](repeating: 0, count: 40 + message.count)
        do {
            var span = bytes.mutableSpan
            var packet = span.mutableBytes
            IPHeader(source: router, destination: .allNodes, protocolNumber: IPProtocol.icmpv6, hopLimit: 255)
                .write(to: &packet, payloadLength: message.count)
            packet.put(message.span.bytes, at: 40)
            var checksum = Checksum()
            checksum.add(message.span.bytes)
            checksum.addPseudoHeader(
                source: router, destination: .allNodes, protocol: IPProtocol.icmpv6, length: message.count)
            packet.put16(checksum.value, at: 42)
        }
        #expect(
            PacketLine.describe(bytes.span.bytes)
                == "fe80::1 > ff02::1 ICMPv6 router advertisement lifetime 1800 prefix fd99::/64 lifetimes 3600/7200 "
                + "MTU 1400 length \(message.count)")
    }

    private func options(mss: UInt16) -> TCPOptions {
        var options = TCPOptions()
        options.maximumSegmentSize = mss
        return options
    }
}

/// Whether a TCP packet's checksum is right.
func packetHasRightChecksum(_ packet: RawSpan) -> Bool {
    guard let header = try? IPHeader(parsing: packet) else { return false }
    return TCPHeader.isChecksumValid(
        packet.extracting(header.headerLength..<header.totalLength), source: header.source,
        destination: header.destination)
}
