import Synchronization
import TCPRuntime
import TCPStack
import TCPWire
import Testing

/// A device whose link takes nothing before all that has arrived is read, and that has no descriptor to wait for.
private final class StuffedDevice: PacketDevice, Sendable {
    let mtu = 1500
    let offload = Offload.none
    var descriptor: CInt? { nil }
    let arrived: [[UInt8]]
    let read = Atomic<Int>(0)
    let refused = Atomic<Int>(0)

    init(_ arrived: [[UInt8]]) { self.arrived = arrived }

    func read(into buffer: inout MutableRawSpan) throws(DeviceError) -> ReceivedPacket? {
        let index = read.load(ordering: .relaxed)
        guard index < arrived.count else { return nil }
        for (offset, octet) in arrived[index].enumerated() {
            buffer.storeBytes(of: octet, toByteOffset: offset, as: UInt8.self)
        }
        read.store(index + 1, ordering: .releasing)
        return ReceivedPacket(length: arrived[index].count)
    }

    func write(_ packet: RawSpan, _ shape: TransmittedPacket) throws(DeviceError) -> Bool {
        let isThroughWithIt = read.load(ordering: .relaxed) == arrived.count
        if !isThroughWithIt { refused.add(1, ordering: .relaxed) }
        return isThroughWithIt
    }

    func close() {}
}

/// A device at which an echo request arrives when the first packet leaves, and then nothing ever.
private final class QuietDevice: PacketDevice, Sendable {
    let mtu = 1500
    let offload = Offload.none
    var descriptor: CInt? { nil }
    let isRead = Atomic<Bool>(false)
    let written = Atomic<Int>(0)

    func read(into buffer: inout MutableRawSpan) throws(DeviceError) -> ReceivedPacket? {
        guard written.load(ordering: .relaxed) > 0, !isRead.exchange(true, ordering: .relaxed) else { return nil }
        let packet = ping(1)
        for (offset, octet) in packet.enumerated() {
            buffer.storeBytes(of: octet, toByteOffset: offset, as: UInt8.self)
        }
        return ReceivedPacket(length: packet.count)
    }

    func write(_ packet: RawSpan, _ shape: TransmittedPacket) throws(DeviceError) -> Bool {
        written.add(1, ordering: .releasing)
        return true
    }

    func close() {}
}

/// An echo request to 10.1.0.2 (RFC 792).
private func ping(_ number: UInt8) -> [UInt8] {
    func withChecksum(_ octets: [UInt8], at offset: Int) -> [UInt8] {
        var sum: UInt32 = 0
        for index in stride(from: 0, to: octets.count, by: 2) {
            sum += UInt32(octets[index]) << 8 | UInt32(octets[index + 1])
        }
        while sum > 0xFFFF { sum = sum & 0xFFFF + sum >> 16 }
        var octets = octets
        (octets[offset], octets[offset + 1]) = (UInt8(~sum >> 8 & 0xFF), UInt8(~sum & 0xFF))
        return octets
    }
    let header: [UInt8] = [0x45, 0, 0, 28, 0, number, 0, 0, 64, 1, 0, 0, 10, 1, 0, 1, 10, 1, 0, 2]
    return withChecksum(header, at: 10) + withChecksum([8, 0, 0, 0, 0, 1, 0, number], at: 2)
}

@Suite("A loop does not sleep while there is something to do")
struct LoopSleepTests {
    @Test("A host whose link has no room for an answer reads on what has arrived, and does not sleep over it")
    func readsOn() async throws {
        let device = StuffedDevice((1...9).map(ping))
        let loop = try EventLoop(spin: .zero)
        try loop.startThread()
        let host = Host(
            device: device, addresses: [AddressPrefix(IPAddress("10.1.0.2")!, length: 24)], loop: loop)
        // Looking at the host would wake its loop.
        for _ in 0..<2_000 where device.read.load(ordering: .acquiring) < device.arrived.count {
            try await Task.sleep(for: .milliseconds(1))
        }
        #expect(device.read.load(ordering: .acquiring) == device.arrived.count)
        #expect(device.refused.load(ordering: .relaxed) > 0)
        await host.shutdown()
        loop.stop()
    }

    @Test("What comes due while the loop looks for the next packet leaves: a SYN goes again though nothing arrives")
    func dueWhileLooking() async throws {
        let device = QuietDevice()
        let loop = try EventLoop(spin: .seconds(30))
        try loop.startThread()
        var configuration = Configuration()
        configuration.initialRTO = .milliseconds(100)
        let host = Host(
            device: device, addresses: [AddressPrefix(IPAddress("10.1.0.2")!, length: 24)],
            configuration: configuration, loop: loop)
        let connecting = Task { try await host.connect(to: Endpoint(IPAddress("10.1.0.1")!, 7)) }
        // A SYN, the answer to the request, and the SYN again. Looking at the host would wake its loop.
        for _ in 0..<2_000 where device.written.load(ordering: .acquiring) < 3 {
            try await Task.sleep(for: .milliseconds(1))
        }
        #expect(device.written.load(ordering: .acquiring) >= 3)
        connecting.cancel()
        _ = await connecting.result
        await host.shutdown()
        loop.stop()
    }
}
