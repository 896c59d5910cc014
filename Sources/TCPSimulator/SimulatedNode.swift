public import TCPWire

/// Something with an address in a simulation: a host with a stack, or an end that a script plays.
public class SimulatedNode {
    /// Its name in traces.
    public let name: String
    /// Its addresses.
    public internal(set) var addresses: [AddressPrefix]
    /// The simulation it lives in.
    public unowned let simulation: Simulation
    /// The links that leave it. A packet takes the first whose end owns its destination, or else the first.
    var links: [LinkDirection] = []

    init(name: String, addresses: [AddressPrefix], simulation: Simulation) {
        self.name = name
        self.addresses = addresses
        self.simulation = simulation
    }

    /// Takes a packet from a link.
    func receive(_ packet: Packet) {}

    /// Called when a link that was full has room.
    func linkHasRoom() {}

    /// Whether it takes packets at all.
    var isReachable: Bool { true }

    /// Whether packets to `address` are for it.
    func owns(_ address: IPAddress) -> Bool { addresses.contains { $0.address == address } }

    /// The link towards `address`.
    func link(towards address: IPAddress) -> LinkDirection? {
        links.count == 1 ? links[0] : links.first { $0.destination?.owns(address) == true } ?? links.first
    }

    /// The node's endpoint with that port, at its first address of the family asked for, or at its first.
    public func endpoint(_ port: UInt16, ipv6: Bool = false) -> Endpoint {
        let prefix = addresses.first { $0.address.isIPv4 != ipv6 } ?? addresses[0]
        return Endpoint(prefix.address, port)
    }
}

/// An end without a stack: a closure sees every packet that arrives, and answers by `send`. It owns all addresses of its
/// prefixes, not only those named.
public final class ScriptedHost: SimulatedNode {
    /// Called with each packet that arrives, as a host would see it.
    public var onPacket: ((ScriptedHost, [UInt8]) -> Void)?

    override func receive(_ packet: Packet) {
        guard let onPacket else { return }
        var packet = packet
        packet.finishChecksum()
        onPacket(self, Array(packet.bytes[0..<packet.length]))
    }

    override func owns(_ address: IPAddress) -> Bool { addresses.contains { $0.contains(address) } }

    /// Sends a packet over the node's link.
    public func send(_ bytes: [UInt8]) {
        simulation.transmit(Packet(bytes: bytes, length: bytes.count, destination: self), from: self)
    }
}
