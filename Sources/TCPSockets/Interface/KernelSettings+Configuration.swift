import TCPEngine
import TCPStack

extension KernelSettings {
    /// Linux sends so many acknowledgments at once when it begins to, unless the program begins to answer.
    static let quickAcknowledgments = 16

    /// The same as the stack is told it.
    var configuration: Configuration {
        var result = Configuration()
        result.mtu = mtu
        // SO_SNDBUF may ask for more than the kernel's: the socket layer holds writes to what was chosen.
        result.sendBuffer = max(sendBuffer, 64 << 20)
        result.initialSendBuffer = result.sendBuffer
        result.memoryBudget = 1 << 30
        result.windowScale = windowScale
        result.initialSegments = initialWindow
        result.receiveBuffer = receiveBuffer
        result.initialReceiveBuffer = initialReceiveBuffer ?? receiveBuffer
        result.maximumSegmentLifetime = maximumSegmentLifetime
        result.initialRTO = initialRTO
        result.minimumRTO = minimumRTO
        result.maximumRTO = maximumRTO
        result.delayedAcknowledgment = delayedAcknowledgment
        result.userTimeout = userTimeout
        result.openTimeout = openTimeout
        result.synAckRetries = synAckRetries
        result.orphanTimeout = finWait2Timeout
        result.windowScaling = windowScaling
        result.timestamps = timestamps
        result.selectiveAcknowledgment = selectiveAcknowledgment
        result.hopLimit = hopLimit
        result.congestionControl = congestionControl
        result.pacing = pacing
        result.probesTail = tailLossProbes
        result.usesForwardRTO = forwardRTO
        result.reportsDuplicates = duplicateReports
        result.pathProbing = mtuProbing <= 0 ? .off : mtuProbing == 1 ? .blackHoles : .always
        result.baseSegmentSize = baseSegmentSize
        if acknowledgmentPolicy == .linux { result.quickAcknowledgments = KernelSettings.quickAcknowledgments }
        result.recordsStateChanges = true
        return result
    }

    /// What `connect` asks for.
    var askedECN: ExplicitCongestion {
        switch explicitCongestionNotification {
        case 1, 4: .on
        case 3: .accurate
        default: .off
        }
    }

    /// What a listener agrees to.
    var acceptedECN: ExplicitCongestion {
        switch explicitCongestionNotification {
        case 1, 2: .on
        case 3, 4, 5: .accurate
        default: .off
        }
    }
}
