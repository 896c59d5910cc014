import ArgumentParser
import TCPRuntime
import TCPStack
import TCPTrace
import TCPWire

/// An interface that is open, with what watches its packets.
struct OpenLink {
    var host: Host
    var device: LinkDescription
    var capture: CaptureFile?
}

/// What there is to say about an interface.
struct LinkDescription: Sendable {
    var name: String
    var linkLayer: LinkLayer
    var mtu: Int
    var hasOffload: Bool
    var wasThere: Bool
    var isUp: Bool

    init(_ device: some KernelInterface) {
        name = device.name
        linkLayer = device.linkLayer
        mtu = device.mtu
        hasOffload = device.offload.superSegments
        wasThere = device.wasThere
        isUp = Interface.isUp(device.name)
    }
}

extension LinkOptions {
    /// Opens the interface and puts a host on it.
    func open(on loop: EventLoop, configuration: Configuration = Configuration()) throws -> OpenLink {
        // What is refused leaves no interface behind.
        let capture = try pcap.map { try CaptureFile(path: $0, linkType: tap == nil ? .raw : .ethernet) }
        if let tap {
            let address = try station() ?? .random()
            let device = try TAPDevice(name: tap, address: address, offload: offload == .on)
            return try open(device, capture, on: loop, configuration)
        }
        return try open(TUNDevice(name: tun ?? "", offload: offload == .on), capture, on: loop, configuration)
    }

    private func open(
        _ interface: sending some KernelInterface, _ capture: CaptureFile?, on loop: EventLoop,
        _ configuration: Configuration
    ) throws -> OpenLink {
        let links = try links()
        if !interface.wasThere { try Interface.configure(interface.name, links: links, mtu: mtu ?? 1500) }
        try interface.refreshMTU(limit: mtu)
        let description = LinkDescription(interface)
        guard try description.mtu >= 1280 || !usesIPv6() else {
            throw DeviceError.invalid(
                "\(description.name) has an MTU of \(description.mtu): IPv6 needs at least 1280; raise it.")
        }
        let line = trace ? TraceLine(description.linkLayer) : nil
        let host: Host
        if capture != nil || line != nil {
            let device = ObservedDevice(interface) { packet, direction in
                capture?.append(packet)
                line?.print(packet, direction)
            }
            host = try self.host(on: device, description, loop, configuration)
        } else {
            host = try self.host(on: interface, description, loop, configuration)
        }
        return OpenLink(host: host, device: description, capture: capture)
    }

    private func host(
        on device: sending any PacketDevice, _ description: LinkDescription, _ loop: EventLoop,
        _ configuration: Configuration
    ) throws -> Host {
        Host(
            device: device, addresses: try links().map(\.stack), configuration: configuration,
            ethernet: ethernetConfiguration(isShared: description.wasThere), loop: loop)
    }
}

extension LinkOptions {
    /// - Parameter isShared: whether others than this machine's kernel may be on the segment.
    private func ethernetConfiguration(isShared: Bool) -> EthernetConfiguration {
        var configuration = EthernetConfiguration()
        configuration.autoconfigures = autoconfigure
        if !isShared {
            // Nobody else starts at the same moment, and the kernel answers at once: no need to wait at random.
            configuration.initialDelay = .zero
            configuration.conflictProbes = 1
            configuration.conflictProbeWait = .zero
            configuration.announceWait = .milliseconds(200)
        }
        return configuration
    }

    /// The ways to where our prefixes do not reach: to the kernel if it is outside them, and to everything else by the
    /// gateways.
    private func routes() throws -> [Route] {
        guard tap != nil else { return [] }
        let peers = try links().filter { !$0.stack.contains($0.kernel) }.map(\.kernel)
        return peers.map { Route(AddressPrefix($0, length: $0.bitWidth)) }
            + (try gateways().map {
                Route(AddressPrefix($0.isIPv4 ? IPAddress(ipv4: 0) : .unspecifiedIPv6, length: 0), via: $0)
            })
    }

    /// Waits until our addresses may be used, and says which may not.
    func settle(_ host: Host) async throws -> [LinkAddressStatus] {
        for route in try routes() { await host.addRoute(route) }
        let addresses = try await host.addressesSettled()
        if let taken = addresses.first(where: { $0.state == .duplicated && $0.origin == .manual }) {
            throw CommandFailure(
                "\(taken.prefix.address) belongs to another host of the segment: choose another --address.")
        }
        return addresses
    }

    /// Waits until we have an address to reach `remote` from: a router's advertisement may have to come first.
    func settle(_ host: Host, for remote: IPAddress) async throws {
        let settled = try await settle(host)
        let needsRouter =
            try autoconfigure && !remote.isIPv4 && !remote.isLinkLocal && links().allSatisfy(\.stack.address.isIPv4)
        guard needsRouter else { return }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                var addresses = settled
                while await host.isRunning, !addresses.contains(where: { $0.isUsed && $0.origin == .autoconfigured }) {
                    addresses = try await host.linkAddresses(after: addresses)
                }
            }
            group.addTask { [loop = host.loop] in
                // Three solicitations, four seconds apart (RFC 4861 §6.3.7), and the time an answer takes.
                try await loop.sleep(for: .seconds(15))
                throw CommandFailure("No router of the segment gave us an IPv6 address: give one by --address.")
            }
            try await group.next()
            group.cancelAll()
        }
    }
}
