from stages.aggregate.words.summary import at_last_step


def test_the_last_step_may_differ_from_network_to_network():
    assert at_last_step([100, 100]) == "step 100"
    assert at_last_step([100, 0, 100]) == "the last step (0 or 100)"
