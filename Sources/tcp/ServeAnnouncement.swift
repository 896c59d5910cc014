import TCPRuntime
import TCPStack
import TCPWire

/// What `tcp serve` says of its interface, its addresses and its services: at the start, and when addresses change.
struct ServeAnnouncement: Sendable {
    var device: LinkDescription
    /// What was asked for: our addresses and the kernel's.
    var links: [Interface.Link]
    var wantsOffload: Bool
    var services: [any Service]
    var printsJSON: Bool

    /// Tells where the services are to be had. `addresses` are those of an Ethernet segment.
    func begin(_ addresses: [LinkAddressStatus]) {
        let ours = device.linkLayer == .ip ? links.map(\.stack) : addresses.filter(\.isUsed).map(\.prefix)
        if printsJSON { printServing(ours) }
        let origin = device.wasThere ? "was there and stays as it is" : "made for this"
        complain("\(device.name): \(origin), MTU \(device.mtu), offload \(device.hasOffload ? "on" : "off")")
        if device.wasThere, !device.isUp {
            complain("  It is down: bring it up with 'ip link set \(device.name) up'.")
        }
        if wantsOffload, !device.hasOffload {
            complain("  The kernel has no offload for it: every packet is one segment.")
        }
        if case .ethernet(let station) = device.linkLayer { complain("  our station on its segment is \(station)") }
        for prefix in ours {
            guard let link = links.first(where: { $0.stack == prefix }) else {
                complain("  we are \(prefix)")
                continue
            }
            let kernel = device.wasThere ? "the kernel's is yours to set" : "the kernel is \(link.kernel)"
            complain("  we are \(prefix), \(kernel)")
        }
        for service in services {
            for prefix in ours { complain("  \(service.name): \(invitation(service, prefix.address))") }
        }
        complain("Ready. Ctrl-C ends it.")
    }

    /// Tells what has changed.
    func tell(_ addresses: [LinkAddressStatus], after known: [LinkAddressStatus]) {
        for address in addresses {
            let before = known.first { $0.prefix.address == address.prefix.address }
            guard before?.state != address.state else { continue }
            let prefix = address.prefix
            switch address.state {
            case .tentative: continue
            case .preferred: complain("  we are now \(prefix): \(invitation(services[0], prefix.address))")
            case .deprecated: complain("  \(prefix) is deprecated: it will not last")
            case .duplicated: complain("  \(prefix.address) belongs to another host of the segment: it is not used")
            }
            report(prefix, "\(address.state)")
        }
        let left = known.filter { old in !addresses.contains { $0.prefix.address == old.prefix.address } }
        for address in left where address.isUsed {
            complain("  \(address.prefix) is ours no more")
            report(address.prefix, "gone")
        }
    }

    private func report(_ prefix: AddressPrefix, _ state: String) {
        guard printsJSON else { return }
        output("{\"event\":\"address\",\"address\":\(json(prefix.description)),\"state\":\(json(state))}")
    }

    private func printServing(_ ours: [AddressPrefix]) {
        let addresses = ours.map { json($0.description) }.joined(separator: ",")
        let names = services.map { "{\"name\":\(json($0.name)),\"port\":\($0.port)}" }.joined(separator: ",")
        var interface = "\"tun\":\(json(device.name))"
        if case .ethernet(let station) = device.linkLayer {
            interface = "\"tap\":\(json(device.name)),\"mac\":\(json(station.description))"
        }
        output(
            "{\"event\":\"serving\",\(interface),\"addresses\":[\(addresses)],"
                + "\"mtu\":\(device.mtu),\"offload\":\(device.hasOffload),\"services\":[\(names)]}")
    }

    /// The command that uses the service at one of our addresses.
    private func invitation(_ service: any Service, _ address: IPAddress) -> String {
        // An address of one link alone needs the link's name beside it (RFC 4007 §11, in a URL RFC 6874 §2).
        let isScoped = address.isLinkLocal && !address.isIPv4
        let name = isScoped ? "\(address)%\(device.name)" : "\(address)"
        switch service.name {
        case "http":
            let host = address.isIPv4 ? name : isScoped ? "[\(address)%25\(device.name)]" : "[\(name)]"
            return "curl http://\(host)/"
        case "echo": return "nc -N \(name) \(service.port)"
        case "discard": return "nc -N \(name) \(service.port) < FILE"
        default: return "nc \(name) \(service.port)"
        }
    }
}

extension LinkAddressStatus {
    /// Whether the stack answers to it.
    var isUsed: Bool { state == .preferred || state == .deprecated }
}
